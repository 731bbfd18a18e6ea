package waitroom

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const testEvent = 7

var opening = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// visitorAt returns the visitor that arrives as number i: its id is a counter, the worst case for a hash to scatter.
func visitorAt(i int) Visitor {
	return Visitor{15: byte(i), 14: byte(i >> 8), 13: byte(i >> 16), 12: byte(i >> 24)}
}

func drawOf(n int) []Number {
	numbers := make([]Number, n)
	for i := range numbers {
		numbers[i] = visitorAt(i).Number(testEvent)
	}
	return numbers
}

// 100,000 visitors in order of arrival: their ranks are spread evenly and do not depend on the arrival, whatever the seed.
func TestRanksAreUniformAndIndependentOfArrival(t *testing.T) {
	t.Parallel()
	const n, bins = 100_000, 1000
	numbers := drawOf(n)
	for s := range 3 {
		seed := Seed{byte(s)}
		revealed := CloseDraw(slices.Clone(numbers)).Reveal(seed)
		var counts [bins]int
		var squares float64
		for arrival, number := range numbers {
			counts[int(seed.Rank(number).Share()*bins)]++
			place, drew := revealed.Place(number, seed)
			if !drew {
				t.Fatalf("visitor %d has no place", arrival)
			}
			d := float64(arrival + 1 - place)
			squares += d * d
		}
		chi := 0.0
		for _, c := range counts {
			d := float64(c) - n/bins
			chi += d * d / (n / bins)
		}
		// 999 degrees of freedom: mean 999, deviation 44.7; beyond five deviations once in two million seeds.
		if math.Abs(chi-(bins-1)) > 5*math.Sqrt(2*(bins-1)) {
			t.Errorf("seed %d: ranks are not uniform: chi-square %.0f", s, chi)
		}
		// Spearman's coefficient of independent orders has a deviation of 1/sqrt(n-1) = 0.0032.
		rho := 1 - 6*squares/(float64(n)*(float64(n)*n-1))
		if math.Abs(rho) > 5/math.Sqrt(n-1) {
			t.Errorf("seed %d: place and arrival are correlated: %.4f", s, rho)
		}
	}
}

func TestPlacesAreAPermutationAndFollowTheRanks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		numbers := drawOf(n)
		seed := Seed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		d := CloseDraw(append(slices.Clone(numbers), numbers[:n/2]...)).Reveal(seed) // some drew twice
		if d.Len() != n {
			t.Fatalf("%d drew, %d are listed", n, d.Len())
		}
		at := make([]Number, n)
		for _, number := range numbers {
			place, drew := d.Place(number, seed)
			if !drew || place < 1 || place > n || at[place-1] != (Number{}) {
				t.Fatalf("place %d of %d", place, n)
			}
			at[place-1] = number
		}
		served := rapid.IntRange(0, n+2).Draw(t, "served")
		threshold, begun := d.Threshold(int64(served))
		for i, number := range at {
			if turn := begun && seed.Rank(number) <= threshold; turn != (i < served) {
				t.Fatalf("place %d of %d, %d served: turn %v", i+1, n, served, turn)
			}
		}
		if _, drew := d.Place(Number{1, 2, 3}, seed); drew || d.Has(Number{1, 2, 3}) {
			t.Fatal("a number that never drew has a place")
		}
	})
}

func TestProofsLeadToTheRoot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		d := CloseDraw(drawOf(n))
		number := visitorAt(rapid.IntRange(0, n-1).Draw(t, "own")).Number(testEvent)
		i, path, ok := d.Proof(number)
		if !ok || CheckProof(number, i, n, path, d.Root()) != nil {
			t.Fatalf("the proof of entry %d of %d fails", i, n)
		}
		if len(path) > 8 {
			t.Fatalf("a proof of %d hashes for %d numbers", len(path), n)
		}
		other := number
		other[rapid.IntRange(0, 15).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		wrong := []error{
			CheckProof(other, i, n, path, d.Root()),
			CheckProof(number, i, n, path, Hash{}),
			CheckProof(number, i, n, append(slices.Clone(path), Hash{}), d.Root()),
			CheckProof(number, n, n, path, d.Root()),
			CheckProof(number, -1, n, path, d.Root()),
		}
		if n > 1 {
			wrong = append(wrong, CheckProof(number, i, n, path[:len(path)-1], d.Root()))
		}
		for j, err := range wrong {
			if err == nil {
				t.Fatalf("wrong proof %d passes", j)
			}
		}
	})
}

// published returns everything that is published about a draw of n.
func published(n int) Evidence {
	seed := Seed{42}
	d := CloseDraw(drawOf(n))
	root, list := d.Root(), d.ListHash()
	closed, revealed := opening.Add(-CloseLead), opening
	proof := Proof{
		Event: "race", Commitment: seed.Commitment(), Count: n, Root: &root, ListHash: &list, ClosedAt: &closed,
		Seed: seed.Hex(), RevealedAt: &revealed,
	}
	return Evidence{Proof: proof, List: d.numbers, ListHash: list}
}

func TestVerifyAcceptsAnHonestDraw(t *testing.T) {
	t.Parallel()
	e := published(1000)
	own := visitorAt(17).Number(testEvent)
	e.Own = &own
	before := Proof{Event: "race", Commitment: e.Proof.Commitment}
	closed := e.Proof
	closed.Seed, closed.RevealedAt = "", nil
	e.Earlier = []Proof{before, closed, e.Proof}
	v := Verify(e)
	if !v.OK() {
		t.Fatalf("%+v", v.Checks)
	}
	seed, _ := ParseSeed(e.Proof.Seed)
	want, _ := CloseDraw(drawOf(1000)).Reveal(seed).Place(own, seed)
	if v.Place != want || v.Rank != seed.Rank(own) {
		t.Errorf("place %d, rank %s; want %d", v.Place, v.Rank, want)
	}
}

// Every way of cheating fails the check that names it.
func TestVerifyCatchesCheating(t *testing.T) {
	t.Parallel()
	slipIn := func(e *Evidence) {
		d := CloseDraw(append(slices.Clone(e.List), Number{9, 9, 9}))
		e.List, e.ListHash = d.numbers, d.ListHash()
		e.Proof.Count++
	}
	tests := []struct {
		fails string
		cheat func(e *Evidence)
	}{
		{"commitment", func(e *Evidence) { e.Proof.Seed = Seed{43}.Hex() }},
		{"commitment", func(e *Evidence) { e.Proof.Seed = "" }},
		{"sequence", func(e *Evidence) { later := opening.Add(time.Second); e.Proof.ClosedAt = &later }},
		{"sequence", func(e *Evidence) { e.Proof.ClosedAt = nil }},
		{"count", func(e *Evidence) { e.Proof.Count-- }},
		{"root", slipIn},
		{"list", slipIn},
		{"root", func(e *Evidence) { e.List = e.List[1:]; e.Proof.Count-- }},
		{"root", func(e *Evidence) { e.Proof.Root = nil }},
		{"list", func(e *Evidence) { e.Proof.ListHash = nil }},
		{"own", func(e *Evidence) { e.Own = &Number{1} }},
		{"earlier", func(e *Evidence) { e.Earlier = []Proof{{Event: "race", Commitment: Hash{1}}} }},
		{"earlier", func(e *Evidence) {
			kept := e.Proof
			kept.Root = &Hash{1}
			e.Earlier = []Proof{kept}
		}},
	}
	for i, test := range tests {
		e := published(100)
		test.cheat(&e)
		v := Verify(e)
		failed := slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Name == test.fails && !c.OK })
		if v.OK() || !failed {
			t.Errorf("cheat %d passes %s: %+v", i, test.fails, v.Checks)
		}
	}
}

func TestListRoundTrip(t *testing.T) {
	t.Parallel()
	d := CloseDraw(drawOf(500))
	var file bytes.Buffer
	written, err := d.WriteList(&file)
	if err != nil || written != Hash(sha256.Sum256(file.Bytes())) {
		t.Fatalf("the hash is not that of the file: %v", err)
	}
	numbers, read, err := ReadList(&file)
	if err != nil || read != written || !slices.Equal(numbers, d.numbers) {
		t.Fatalf("%d numbers read, %v", len(numbers), err)
	}
}

func TestReadListRefuses(t *testing.T) {
	t.Parallel()
	low, high := strings.Repeat("0", 32), strings.Repeat("f", 32)
	for name, text := range map[string]string{
		"unsorted": high + "\n" + low + "\n", "twice": low + "\n" + low + "\n", "upper case": strings.Repeat("F", 32) + "\n",
		"short": "00\n", "a blank line": low + "\n\n" + high + "\n", "a line of a megabyte": strings.Repeat("0", 1<<20),
	} {
		if _, _, err := ReadList(strings.NewReader(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 32) + "\n" + strings.Repeat("f", 32)))
	f.Fuzz(func(t *testing.T, file []byte) {
		numbers, hash, err := ReadList(bytes.NewReader(file))
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(numbers, Number.Compare) || hash != Hash(sha256.Sum256(file)) {
			t.Fatal("an unsorted list, or the hash of another")
		}
	})
}

func TestPersonsAreRecognisedByTheirAddress(t *testing.T) {
	t.Parallel()
	a := PersonVisitor([]byte("secret"), 7, "siti@example.id")
	for name, b := range map[string]Visitor{
		"another address": PersonVisitor([]byte("secret"), 7, "budi@example.id"),
		"another event":   PersonVisitor([]byte("secret"), 8, "siti@example.id"),
		"another secret":  PersonVisitor([]byte("public"), 7, "siti@example.id"),
	} {
		if a == b {
			t.Errorf("%s gives the same visitor", name)
		}
	}
	if a != PersonVisitor([]byte("secret"), 7, "siti@example.id") {
		t.Error("the same person is another visitor")
	}
	if a.Number(7) == a.Number(8) {
		t.Error("a visitor can be followed from event to event")
	}
}

func TestASeedStaysOutOfLogs(t *testing.T) {
	t.Parallel()
	raw, _ := json.Marshal(State{})
	if s := (Seed{1}); strings.Contains(s.String()+s.GoString()+string(raw), s.Hex()[:8]) {
		t.Error("a seed prints itself")
	}
}

// The vectors are what the page's TypeScript and anyone's own program are held to.
type vectors struct {
	Seed       string        `json:"seed"`
	Commitment Hash          `json:"commitment"`
	Numbers    []Number      `json:"-"`
	List       []string      `json:"list"`
	Ranks      []string      `json:"ranks"`
	Places     []int         `json:"places"`
	Root       Hash          `json:"root"`
	ListHash   Hash          `json:"list_sha256"`
	Standings  []standVector `json:"standings"`
}

type standVector struct {
	State    State  `json:"state"`
	Kind     string `json:"kind"`
	Place    int64  `json:"place"`
	Rank     string `json:"rank"`
	Turn     bool   `json:"turn"`
	Ahead    int64  `json:"ahead"`
	WaitMS   int64  `json:"wait_ms"`
	NextPoll int64  `json:"next_poll_ms"` // at opening, with u = 0.5
}

func makeVectors() vectors {
	seed := Seed(bytes.Repeat([]byte{0xab}, 32))
	d := CloseDraw(drawOf(10)).Reveal(seed)
	v := vectors{Seed: seed.Hex(), Commitment: seed.Commitment(), Root: d.Root(), ListHash: d.ListHash()}
	for _, n := range d.numbers {
		place, _ := d.Place(n, seed)
		v.List, v.Places = append(v.List, n.String()), append(v.Places, place)
		v.Ranks = append(v.Ranks, seed.Rank(n).String())
	}
	settings := Settings{EventID: testEvent, Slug: "race", OpensAt: opening, Draw: true}
	for i, served := range []int64{0, 4, 10, 13} {
		for _, phase := range []Phase{Before, Open} {
			r := Record{
				EventID: testEvent, Drawn: 10, Late: 5, Commitment: seed.Commitment(), Operator: Operator{Groups: []int64{3}},
				Progress: Progress{Phase: phase, Root: d.Root(), Served: served, Stock: InStock, Admission: Admission{Shown: 0.5, Storming: i == 1}},
			}
			s := Describe(settings, &r, d, seed)
			first, _ := ParseRank(v.Ranks[0])
			v.stand(s, Ticket{Kind: Drawn}, first)
			v.stand(s, Ticket{Kind: Late, Place: 3}, 0)
			v.stand(s, Ticket{Kind: Invited, Place: 3}, 0)
			v.stand(s, Ticket{Kind: Invited, Place: 4}, 0)
		}
	}
	return v
}

func (v *vectors) stand(s State, t Ticket, rank Rank) {
	st := s.Stand(t, rank)
	wait := int64(-1)
	if st.Wait >= 0 {
		wait = st.Wait.Milliseconds()
	}
	v.Standings = append(v.Standings, standVector{
		State: s, Kind: t.Kind.String(), Place: t.Place, Rank: rank.String(), Turn: st.Turn, Ahead: st.Ahead, WaitMS: wait,
		NextPoll: s.NextPoll(opening, st, 0.5).Milliseconds(),
	})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	const file = "testdata/vectors.json"
	got, err := json.MarshalIndent(makeVectors(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("published arithmetic changed (UPDATE_GOLDEN=1 rewrites):\n%s", diff)
	}
}

// A drawn visitor's estimate comes from its rank alone: with 100,000 drawn it is off by a few hundred at most, and the
// moment of its turn is exact.
func TestEstimatesAreClose(t *testing.T) {
	t.Parallel()
	const n = 100_000
	seed := Seed{5}
	d := CloseDraw(drawOf(n)).Reveal(seed)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		served := rng.Int64N(n)
		r := Record{Drawn: n, Progress: Progress{Phase: Open, Served: served, Admission: Admission{Shown: 100}}}
		s := Describe(Settings{Draw: true}, &r, d, seed)
		place := 1 + rng.Int64N(n)
		rank := d.ranks[place-1]
		st := s.Stand(Ticket{Kind: Drawn}, rank)
		if st.Turn != (place <= served) {
			t.Fatalf("place %d, %d served: turn %v", place, served, st.Turn)
		}
		if off := st.Ahead - (place - served - 1); !st.Turn && (off > 5*158 || off < -5*158) {
			t.Errorf("place %d, %d served: %d ahead, off by %d", place, served, st.Ahead, off)
		}
	}
}

func TestPollingIsSpread(t *testing.T) {
	t.Parallel()
	for waiting, want := range map[int64][4]int64{ // before opening, and in the line
		0: {2, 1, 2, 2}, 9_999: {2, 1, 2, 2}, 100_000: {20, 10, 10, 20}, 10_000_000: {30, 15, 15, 30}, -5: {2, 1, 2, 2},
	} {
		after, jitter := pollBounds(waiting, false)
		openAfter, openJitter := pollBounds(waiting, true)
		if got := [4]int64{after, jitter, openAfter, openJitter}; got != want {
			t.Errorf("%d wait and poll after %v, want %v", waiting, got, want)
		}
	}
	s := State{Phase: Before, OpensAt: opening, PollAfter: 30, PollJitter: 15}
	for range 100 {
		next := s.NextPoll(opening.Add(-10*time.Second), unknown, rand.Float64())
		if next < 10*time.Second || next > 25*time.Second {
			t.Errorf("ten seconds before opening the next poll is in %v", next)
		}
	}
	s = State{Phase: Open, PollAfter: 15, PollJitter: 30}
	if next := s.NextPoll(opening, Standing{Ahead: 3, Wait: 20 * time.Second}, 0.9); next != 21125*time.Millisecond {
		t.Errorf("twenty seconds before its turn the next poll is in %v, after it", next)
	}
	for u, want := range map[float64]time.Duration{0: 3 * time.Second, 1: 3187500 * time.Microsecond} {
		if next := s.NextPoll(opening, Standing{Ahead: 3, Wait: 3 * time.Second}, u); next != want {
			t.Errorf("three seconds before its turn the next poll is in %v, want %v", next, want)
		}
	}
}

func TestStateIsSmall(t *testing.T) {
	t.Parallel()
	seed := Seed{1}
	d := CloseDraw(drawOf(1000)).Reveal(seed)
	r := Record{Drawn: 1e6, Late: 1e6, Progress: Progress{Phase: Open, Served: 999_999, Root: d.Root(), ListHash: d.ListHash(), Admission: Admission{Shown: 8000}}}
	s := Describe(Settings{Slug: "gapura-night-run-2027", Draw: true, OpensAt: opening}, &r, d, seed)
	page := s.Prepare()
	if len(page.Body) > 1024 {
		t.Errorf("the state has %d bytes", len(page.Body))
	}
	same := s
	if same.Prepare().ETag != page.ETag {
		t.Error("the same state has two tags")
	}
	same.Served++
	if same.Prepare().ETag == page.ETag {
		t.Error("two states have the same tag")
	}
}

func TestBeforeOpeningTheStateKeepsTheSeed(t *testing.T) {
	t.Parallel()
	seed := Seed{1}
	d := CloseDraw(drawOf(10)).Reveal(seed)
	for _, phase := range []Phase{Before, Closed} {
		r := Record{Drawn: 10, Progress: Progress{Phase: phase, Root: d.Root(), Served: 5}}
		s := Describe(Settings{Draw: true}, &r, d, seed)
		if s.Seed != "" || s.Threshold != "" || bytes.Contains(s.Prepare().Body, []byte(seed.Hex())) {
			t.Errorf("phase %s tells the seed", phase)
		}
		for _, kind := range []Kind{Drawn, Late, Invited} {
			if s.Stand(Ticket{Kind: kind, Place: -9}, 0).Turn {
				t.Errorf("phase %s lets a %s ticket in", phase, kind)
			}
		}
	}
}

// BenchmarkReveal is how long opening takes with 100,000 drawn.
func BenchmarkReveal(b *testing.B) {
	d := CloseDraw(drawOf(100_000))
	for b.Loop() {
		d.Reveal(Seed{1})
	}
}

// BenchmarkClose is how long closing takes with 100,000 drawn.
func BenchmarkClose(b *testing.B) {
	numbers := drawOf(100_000)
	for b.Loop() {
		CloseDraw(slices.Clone(numbers)).ListHash()
	}
}
