package room

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	lib "github.com/altcha-org/altcha-lib-go"
)

// vectors are those that the server and the page are held to.
type vectors struct {
	Seed      string   `json:"seed"`
	List      []string `json:"list"`
	Ranks     []string `json:"ranks"`
	Standings []struct {
		State json.RawMessage `json:"state"`
		Kind  string          `json:"kind"`
		Place int64           `json:"place"`
		Rank  string          `json:"rank"`
		Turn  bool            `json:"turn"`
		Ahead int64           `json:"ahead"`
		Wait  float64         `json:"wait_ms"`
		Next  float64         `json:"next_poll_ms"`
	} `json:"standings"`
}

func read(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "waitroom", "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAPageRanksItsOwnNumber(t *testing.T) {
	t.Parallel()
	v := read(t)
	s, err := Read([]byte(`{"phase":"open","seed":"` + v.Seed + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, number := range v.List {
		ticket, err := ReadTicket([]byte(`{"ticket":"x","kind":"drawn","number":"` + number + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		rank, ok := s.Rank(ticket)
		if want := rankOf(t, v.Ranks[i]); !ok || rank != want {
			t.Errorf("number %s has rank %x, want %x", number, rank, want)
		}
	}
}

func rankOf(t *testing.T, text string) uint64 {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 8 {
		t.Fatalf("rank %q", text)
	}
	rank := uint64(0)
	for _, c := range b {
		rank = rank<<8 | uint64(c)
	}
	return rank
}

func TestAPageWorksItsPlaceOutAsTheServerDoes(t *testing.T) {
	t.Parallel()
	compared := 0
	for i, c := range read(t).Standings {
		if c.Kind == "invited" {
			continue // nobody in a crowd is
		}
		s, err := Read(c.State)
		if err != nil {
			t.Fatal(err)
		}
		ticket := &Ticket{Drawn: c.Kind == "drawn", Place: c.Place}
		rank := uint64(0)
		if ticket.Drawn {
			rank = rankOf(t, c.Rank)
		}
		got := s.Stand(ticket, rank)
		wait := float64(got.Wait) / float64(time.Millisecond)
		if got.Wait < 0 {
			wait = -1
		}
		if got.Turn != c.Turn || got.Ahead != c.Ahead || math.Abs(wait-c.Wait) > 1 {
			t.Errorf("standing %d: %+v, want turn %v, %d ahead, %v ms", i, got, c.Turn, c.Ahead, c.Wait)
		}
		next := float64(s.NextPoll(s.OpensAt, got, 0.5)) / float64(time.Millisecond)
		if math.Abs(next-c.Next) > 1 {
			t.Errorf("standing %d: asks again after %v ms, want %v", i, next, c.Next)
		}
		compared++
	}
	if compared < 16 {
		t.Errorf("only %d standings were compared", compared)
	}
}

func TestAPageDoesNotAskBeforeOpening(t *testing.T) {
	t.Parallel()
	s := &State{Phase: "before", PollAfter: 30, PollJitter: 15, OpensAt: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)}
	if got := s.NextPoll(s.OpensAt.Add(-5*time.Second), unknown, 0.2); got != 8*time.Second {
		t.Errorf("5 s before opening: %v, want 8 s", got)
	}
}

func TestAnotherSeedIsNoticed(t *testing.T) {
	t.Parallel()
	v := read(t)
	for commitment, want := range map[string]bool{"9a2db2e23f1504cd056606553ac049c5e718e8f9ce9233876df1a7a1821af885": true, "00": false} {
		s, err := Read([]byte(`{"seed":"` + v.Seed + `","commitment":"` + commitment + `"}`))
		if err != nil || s.Kept() != want {
			t.Errorf("commitment %s: kept %v, %v", commitment, s.Kept(), err)
		}
	}
}

// A new ticket's own wait counts, and not how often those were told to ask who came before the crowd. The numbers are those of
// web/test/queue.test.ts.
func TestFirstPoll(t *testing.T) {
	t.Parallel()
	opens := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	open := &State{Phase: "open", OpensAt: opens, PollAfter: 2, PollJitter: 1}
	before := &State{Phase: "before", OpensAt: opens, PollAfter: 20, PollJitter: 10}
	for _, c := range []struct {
		s    *State
		wait time.Duration
		want time.Duration
	}{
		{open, 8 * time.Second, 8250 * time.Millisecond}, // its turn, and half of a sixteenth
		{open, time.Second, 2062500 * time.Microsecond},
		{open, 300 * time.Second, 15 * time.Second},
		{open, -1, 2500 * time.Millisecond},
		{before, -1, 25 * time.Second},
	} {
		if got := c.s.FirstPoll(opens.Add(-time.Hour), &Ticket{Wait: c.wait}, 0.5); got != c.want {
			t.Errorf("%s, turn in %s: asks after %s, want %s", c.s.Phase, c.wait, got, c.want)
		}
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "[]", `{"threshold":"zz"}`, `{"threshold":"00"}`, `{"seed":"ab"}`} {
		if _, err := Read([]byte(body)); err == nil {
			t.Errorf("state %q is accepted", body)
		}
	}
	for _, body := range []string{"", "{}", `{"ticket":"x","number":"ab"}`, `{"number":"0d71422cc60ebd4fa061d18e87feea4a"}`} {
		if _, err := ReadTicket([]byte(body)); err == nil {
			t.Errorf("ticket %q is accepted", body)
		}
	}
	for _, body := range []string{"", `{"algorithm":"SHA-1"}`, `{"algorithm":"SHA-256","challenge":"ab","maxNumber":1}`} {
		if _, err := ReadWork([]byte(body)); err == nil {
			t.Errorf("captcha %q is accepted", body)
		}
	}
}

// What is solved here is what the library of the server accepts.
func TestTheWorkIsDone(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(time.Minute)
	made, err := lib.CreateChallenge(lib.ChallengeOptions{Algorithm: lib.SHA256, MaxNumber: 5000, HMACKey: "key", Expires: &expires})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ReadWork(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.Solve(func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := lib.VerifySolution(answer, "key", true); err != nil || !ok {
		text, _ := base64.StdEncoding.DecodeString(answer)
		t.Errorf("the server does not accept %s: %v", text, err)
	}
}

func TestWorkThatCannotBeDoneEnds(t *testing.T) {
	t.Parallel()
	w := Work{Challenge: hex.EncodeToString(make([]byte, 32)), MaxNumber: 3000}
	if _, err := w.Solve(func() bool { return true }); !errors.Is(err, ErrUnsolvable) {
		t.Errorf("%v", err)
	}
	rests := 0
	w.MaxNumber = 1 << 40
	if _, err := w.Solve(func() bool { rests++; return false }); !errors.Is(err, ErrUnsolvable) || rests != 1 {
		t.Errorf("%v after %d rests", err, rests)
	}
}
