package crowd

import (
	"encoding/json"
	"testing"
	"time"
)

// bodies reads the requests of a crowd.
func bodies(t *testing.T, event *Event, c *Crowd) (contacts []string, births []time.Time) {
	t.Helper()
	people := NewPeople(event, c, 99)
	for i := range c.Orders {
		var doc struct {
			Contact      struct{ Email string }
			Participants []struct {
				BirthDate string `json:"birth_date"`
			}
		}
		if err := json.Unmarshal(people.AppendBody(nil, int32(i)), &doc); err != nil {
			t.Fatal(err)
		}
		contacts = append(contacts, doc.Contact.Email)
		for _, p := range doc.Participants {
			born, err := time.Parse(time.DateOnly, p.BirthDate)
			if err != nil {
				t.Fatal(err)
			}
			births = append(births, born)
		}
	}
	return contacts, births
}

// The runners of a race decades ahead are of age then, and have been born all the same.
func TestNobodyIsBornInTheFuture(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, year := range []int{2026, 2027, 2046, 2099, 2300} {
		event := testEvent()
		event.StartsAt, event.Today = time.Date(year, 3, 7, 11, 0, 0, 0, time.UTC), today
		_, births := bodies(t, event, gather(t, onsaleSettings(0.2)))
		years := map[int]bool{}
		for _, born := range births {
			years[born.Year()] = true
			if !born.Before(today) || born.Year() < min(year-oldest, 2025) {
				t.Fatalf("a runner of %d is born on %s", year, born.Format(time.DateOnly))
			}
		}
		if year < 2050 && len(years) < 10 {
			t.Errorf("the runners of %d are born in %d years", year, len(years))
		}
	}
}

// Where addresses are confirmed a bot has the one mailbox that it reads, and people have their own.
func TestABotHasOneMailbox(t *testing.T) {
	t.Parallel()
	for _, aliases := range []int{0, 1, 3, Redraws} {
		s := queueSettings(400)
		s.Queue.Confirmed, s.Queue.Aliases = true, aliases
		c := gather(t, s)
		contacts, _ := bodies(t, testEvent(), c)
		by := map[Role]map[string]int{}
		for i := range c.Orders {
			o := &c.Orders[i]
			if by[o.Role] == nil {
				by[o.Role] = map[string]int{}
			}
			by[o.Role][contacts[i]]++
			if !o.Role.IsBot() && o.Mailbox != o.Person {
				t.Fatalf("%d reads the mail of %d", o.Person, o.Mailbox)
			}
		}
		if got, want := len(by[Redrawer]), 100*max(aliases, 1); got != want {
			t.Errorf("100 redrawers have %d addresses, want %d", got, want)
		}
		if len(by[Holder]) != 100 || len(by[Sharer]) != 80/SharersOfATicket {
			t.Errorf("%d addresses of holders, %d of sharers", len(by[Holder]), len(by[Sharer]))
		}
	}
	c := gather(t, queueSettings(400))
	for i := range c.Orders {
		if o := &c.Orders[i]; o.Mailbox != o.Person || o.Alias != 0 {
			t.Fatalf("%v shares a mailbox although nothing is confirmed", o.Role)
		}
	}
}
