package redisqueue

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"gapura/internal/lifecycle"
	"gapura/test/peers"
)

// TestEveryoneGetsTheirOwnAnswer runs scripts from many goroutines at once, while Redis forgets the scripts and while others
// give up: each caller gets what its own script returned.
func TestEveryoneGetsTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(peers.Redis(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	plain := redis.NewClient(options)
	defer func() { _ = plain.Close() }()
	c := &combining{UniversalClient: plain}
	echo := redis.NewScript(`if ARGV[1] == "fail" then return redis.error_reply("as asked") end return KEYS[1] .. ARGV[1]`)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	crowd := lifecycle.NewGroup(t.Context())
	for i := range 300 {
		crowd.Go("caller", func(context.Context) {
			for n := range 20 {
				arg := fmt.Sprint(i, n)
				switch {
				case i%50 == 0 && n == 10:
					_ = plain.ScriptFlush(t.Context())
				case i%7 == 0:
					_ = echo.Run(gone, c, []string{"k"}, arg).Err()
				case i%5 == 0:
					if err := echo.Run(t.Context(), c, []string{"k"}, "fail").Err(); err == nil || err.Error() != "as asked" {
						t.Errorf("a script that fails says %v", err)
					}
				default:
					if got, err := echo.Run(t.Context(), c, []string{"k"}, arg).Text(); err != nil || got != "k"+arg {
						t.Errorf("caller %d got %q for %q, %v", i, got, arg, err)
					}
				}
			}
		})
	}
	if err := crowd.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if c.sending || len(c.waiting) > 0 {
		t.Errorf("%d scripts wait after the end", len(c.waiting))
	}
}
