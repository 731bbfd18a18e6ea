package crowd

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func queueSettings(bots int) Settings {
	return Settings{
		Demand: Demand{Curve: CurveSpike, Orders: 10_000, For: 10 * time.Second}, Habits: DefaultHabits(), Seed: 5, Single: true,
		Queue: &Queue{Opens: time.Minute, Closes: 50 * time.Second, Early: 0.8, Bots: bots, Apart: true, Hold: 20 * time.Second},
	}
}

func TestMostComeEarlyAndNobodyBetween(t *testing.T) {
	t.Parallel()
	c := gather(t, queueSettings(0))
	early, firstHalf := 0, 0
	for _, o := range c.Orders {
		switch {
		case o.Habit == SecondCategory:
		case o.At < 25*time.Second:
			early, firstHalf = early+1, firstHalf+1
		case o.At < 50*time.Second:
			early++
		case o.At < time.Minute:
			t.Fatalf("somebody comes after %v", o.At)
		}
	}
	if early < 7800 || early > 8200 {
		t.Errorf("%d of 10000 come early, want about 8000", early)
	}
	if share := float64(firstHalf) / float64(early); share < 0.10 || share > 0.15 {
		t.Errorf("%.2f of them come in the first half, want an eighth", share)
	}
	for _, v := range c.Visits {
		if v.Double {
			t.Fatal("a double click is planned before its visitor is let in")
		}
	}
}

func TestTheSamePeopleComeWithAndWithoutBots(t *testing.T) {
	t.Parallel()
	alone, among := gather(t, queueSettings(0)), gather(t, queueSettings(4000))
	if n := len(alone.Orders); !reflect.DeepEqual(alone.Orders, among.Orders[:n]) {
		t.Error("bots change who the people are")
	}
	for _, o := range among.Orders[:len(alone.Orders)] {
		if o.Role != Person || o.Size != 1 {
			t.Fatalf("%+v is no person", o)
		}
	}
}

func TestBotsHaveTheirRolesAndOrders(t *testing.T) {
	t.Parallel()
	c := gather(t, queueSettings(1000))
	orders := map[Role]int{}
	leaders, persons := map[int32]int{}, map[int]bool{}
	for i, o := range c.Orders {
		orders[o.Role]++
		if persons[o.Person] && o.Habit != SecondCategory {
			t.Fatalf("order %d has the person of another", i)
		}
		persons[o.Person] = true
		if o.Role == Sharer {
			leaders[o.Next]++
			if c.Orders[o.Next].Next != o.Next {
				t.Fatalf("%d follows %d, who has no ticket of its own", i, o.Next)
			}
		}
		if o.Role == Holder && o.Next >= 0 && o.Next != int32(i)+1 {
			t.Fatalf("holder %d goes on as %d", i, o.Next)
		}
	}
	delete(orders, Person)
	want := map[Role]int{Sharer: 200, Forger: 150, Hammerer: 150, Redrawer: 250 * Redraws, Holder: 250 * Rejoins}
	if !reflect.DeepEqual(orders, want) {
		t.Errorf("orders by role %v, want %v", orders, want)
	}
	if len(leaders) != 200/SharersOfATicket {
		t.Errorf("%d tickets are shared", len(leaders))
	}
}

func TestPeopleAndBotsWantWhatIsTheirs(t *testing.T) {
	t.Parallel()
	event := testEvent()
	for i := range event.Categories {
		event.Categories[i].Price = 100_000 * i // the first is free
	}
	c, err := Gather(event, queueSettings(500))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range c.Orders {
		free := o.Categories[0] == 0
		if o.Habit != SecondCategory && free == o.Role.IsBot() {
			t.Fatalf("%v wants category %d", o.Role, o.Categories[0])
		}
	}
}

// Thousands share an address of a carrier, and bots have few addresses each.
func TestAddressesAreThoseOfACountryOfTelephones(t *testing.T) {
	t.Parallel()
	c := gather(t, queueSettings(1000))
	p := NewPeople(testEvent(), c, 5)
	people, bots := map[netip.Addr]int{}, map[netip.Addr]int{}
	six := 0
	for i, o := range c.Orders {
		a, err := netip.ParseAddr(string(p.AppendNetwork(nil, int32(i), i)))
		if err != nil {
			t.Fatal(err)
		}
		if a.Is6() {
			six++
		}
		if o.Role.IsBot() {
			bots[a]++
		} else {
			people[a]++
		}
	}
	shared := 0
	for _, n := range people {
		if n > 1000 {
			shared += n
		}
	}
	if shared < 5500 || shared > 6600 || len(people) < 3500 || six < 1000 || six > 1600 {
		t.Errorf("%d people behind shared addresses, %d addresses, %d of IPv6", shared, len(people), six)
	}
	if len(bots) > 50 {
		t.Errorf("1000 bots have %d addresses", len(bots))
	}
	both := 0
	for a := range bots {
		if people[a] > 0 {
			both++
		}
	}
	if both == 0 {
		t.Error("no bot is behind a carrier's address")
	}
}
