package app

import (
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"gapura/test/peers"
)

func TestTheDoctorLooksAtRedis(t *testing.T) {
	t.Parallel()
	if _, out, _ := newShell(t).run(t, "doctor"); !strings.Contains(out, "ok    redis                not used") {
		t.Errorf("without Redis:\n%s", out)
	}
	server := peers.PrivateRedis(t)
	s := newShell(t, "QUEUE_CONNECTION=redis", "REDIS_URL="+server.URL(0))
	if _, out, _ := s.run(t, "doctor"); !strings.Contains(out, "ok    redis") || !strings.Contains(out, "maxmemory-policy noeviction") {
		t.Errorf("a good one:\n%s", out)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Address()})
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	before, _, _ := newShell(t).run(t, "doctor")
	if code, out, _ := s.run(t, "doctor"); code != before || !strings.Contains(out, "warn  redis                maxmemory-policy is allkeys-lru: set it to noeviction") {
		t.Errorf("one that evicts, exit %d instead of %d:\n%s", code, before, out)
	}
	if _, out, _ := newShell(t, "REDIS_URL="+server.URL(0)).run(t, "doctor"); !strings.Contains(out, "ok    redis") {
		t.Errorf("one that evicts and holds no jobs:\n%s", out)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := s.run(t, "doctor"); code != exitNo || !strings.Contains(out, "FAIL  redis                does not answer") {
		t.Errorf("one that is away: %d\n%s", code, out)
	}
	host, port, _ := net.SplitHostPort(server.Address())
	hidden := newShell(t, "QUEUE_CONNECTION=redis", "REDIS_HOST="+host, "REDIS_PORT="+port, "REDIS_PASSWORD=geheim")
	if _, out, errs := hidden.run(t, "doctor"); strings.Contains(out+errs, "geheim") {
		t.Errorf("the password is printed:\n%s%s", out, errs)
	}
}
