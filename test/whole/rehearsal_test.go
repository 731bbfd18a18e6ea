package whole

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gapura/internal/rehearse"
	"gapura/test/peers"
)

// gathering is what a rehearsal's summary says about a waiting room.
type gathering struct {
	Clean    bool
	Findings []rehearse.Finding
	Room     struct {
		Wanted, Had, Unanswered int
		Bots                    struct{ Number, Requests, Tickets, Passes, Orders int }
	} `json:"waiting_room"`
	Mail struct {
		People, Bots rehearse.MailCount
		Code         struct {
			Count    int
			P50, P99 float64
		} `json:"code_ms"`
	}
}

// People draw, wait and enter a real server's waiting room, first among themselves and then among bots: with captchas to solve,
// limits on and addresses behind a proxy. Nothing forged counts, no check is broken, and people get the places in the end.
func TestPeopleAmongBots(t *testing.T) {
	t.Parallel()
	i := onMariaDB(t, peers.MariaDB(t))
	i.environment = append(i.environment, "TRUSTED_PROXIES=127.0.0.1", "CAPTCHA_PROVIDER=altcha", "DRAW_CLOSES_BEFORE=6s")
	n := i.serve(t)
	w := &worker{installation: i} // it lets the holds expire
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.kill() })
	directory := filepath.Join(t.TempDir(), "report")
	out := rehearsal(t, i, "--url", n.url(), "--scenario", "bots", "--people", "100", "--bot-share", "0.2", "--lead", "8s", "--hold", "1s",
		"--patience", "11s", "--reaction", "500ms", "--connections", "32", "--out", directory)
	without, with := read(t, filepath.Join(directory, rehearse.WithoutDirectory)), read(t, filepath.Join(directory, rehearse.WithDirectory))
	for name, g := range map[string]gathering{"without bots": without, "with bots": with} {
		for _, f := range rehearse.Broken(g.Findings) {
			t.Errorf("%s: %s: %d of %d broken: %v", name, f.Title.EN, f.Broken, f.Checked, f.Examples)
		}
		if g.Room.Had == 0 || g.Room.Unanswered > 0 {
			t.Errorf("%s: %d of %d people have an order, %d requests were not answered", name, g.Room.Had, g.Room.Wanted, g.Room.Unanswered)
		}
	}
	if b := with.Room.Bots; b.Orders == 0 || b.Tickets < b.Number/2 || b.Requests < 500 {
		t.Errorf("the bots were idle: %+v", b)
	}
	// In these seconds not all places that bots held have come back. The target of 5% is measured with thousands and more time.
	if with.Room.Had*100 < without.Room.Had*60 {
		t.Errorf("%d people have an order, without bots %d had\n%s", with.Room.Had, without.Room.Had, out)
	}
	page, err := os.ReadFile(filepath.Join(directory, rehearse.ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(page), "<svg"); n != 6 || !strings.Contains(string(page), "People among bots") || strings.Contains(string(page), "NaN") {
		t.Errorf("the report of both crowds has %d plots", n)
	}
	t.Logf("%d of %d people have an order, without bots %d; %+v", with.Room.Had, with.Room.Wanted, without.Room.Had, with.Room.Bots)
	i.must(t, "audit")
}

// rehearsal runs one, whose verdict may be either.
func rehearsal(t *testing.T, i *installation, args ...string) string {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, append([]string{"rehearse"}, args...)...)
	command.Env, command.Dir = i.environment, i.directory
	out, err := command.CombinedOutput()
	if command.ProcessState == nil || command.ProcessState.ExitCode() > 1 {
		t.Fatalf("gapura rehearse: %v\n%s", err, out)
	}
	return string(out)
}

func read(t *testing.T, directory string) (g gathering) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, rehearse.SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{rehearse.ReportFile, rehearse.AttemptsFile} {
		if _, err := os.Stat(filepath.Join(directory, name)); err != nil {
			t.Error(err)
		}
	}
	return g
}

// Everybody confirms an address with the code of a mail that a real server sends, enters with it and has an order.
func TestEverybodyConfirmsAnAddress(t *testing.T) {
	t.Parallel()
	i := onSQLite(t)
	mail := freeAddress(t)
	host, port, _ := strings.Cut(mail, ":")
	i.environment = append(i.environment, "TRUSTED_PROXIES=127.0.0.1", "CAPTCHA_PROVIDER=altcha", "DRAW_CLOSES_BEFORE=6s",
		"MAIL_MAILER=smtp", "MAIL_HOST="+host, "MAIL_PORT="+port)
	if _, err := program(); err != nil { // built before the clock starts
		t.Fatal(err)
	}
	race, opens := time.Now().AddDate(0, 6, 0), time.Now().Add(14*time.Second).In(time.FixedZone("WIB", 7*3600))
	text := fmt.Sprintf(eventText, race.Format(time.DateOnly), race.AddDate(0, 0, -7).Format(time.DateOnly), 1000)
	text = strings.Replace(text, "2020-12-01T10:00", opens.Format("2006-01-02T15:04:05"), 1)
	path := filepath.Join(i.directory, "room.yaml")
	if err := os.WriteFile(path, []byte(text+"waiting_room: {enabled: true, pre_queue: draw, person: email}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(t, "event", "apply", path)
	n := i.serve(t)
	directory := filepath.Join(t.TempDir(), "report")
	out := rehearsal(t, i, "--url", n.url(), "--event", "night-run", "--curve", "spike", "--orders", "150", "--for", "2s", "--lead", "11s", "--forwarded",
		"--patience", "15s", "--reaction", "500ms", "--connections", "32", "--mail", mail, "--out", directory)
	g := read(t, directory)
	for _, f := range rehearse.Broken(g.Findings) {
		t.Errorf("%s: %d of %d broken: %v", f.Title.EN, f.Broken, f.Checked, f.Examples)
	}
	m := g.Mail.People
	if !g.Clean || g.Room.Had != g.Room.Wanted || g.Room.Wanted < 130 || g.Room.Unanswered > 0 {
		t.Errorf("%d of %d people have an order\n%s", g.Room.Had, g.Room.Wanted, out)
	}
	if m.Asked < 150 || m.Mailed < m.Asked || m.Silent > 0 || g.Mail.Code.Count < 150 || g.Mail.Code.P99 <= 0 {
		t.Errorf("%+v\n%s", g.Mail, out)
	}
	t.Logf("%+v", g.Mail)
	i.clean(t)

	sentence := rehearsal(t, i, "--url", n.url(), "--event", "night-run", "--curve", "spike", "--orders", "10", "--for", "1s")
	if !strings.Contains(sentence, "--mail 127.0.0.1:2525") {
		t.Errorf("without --mail: %s", sentence)
	}
}
