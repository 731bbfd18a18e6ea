package redisqueue

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gapura/internal/id"
	"gapura/internal/jobs"
)

func TestAPayloadIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 3, 0, 0, 123_000_000, time.UTC)
	whole := jobs.Sending{
		Job: jobs.Job{
			ID: 1 << 40, Kind: jobs.MailSend, EventID: 7, Order: id.New(), Version: 3, Arg: "order_confirmed", Attempt: 2, Sends: 5, Created: at,
		},
		Due: at.Add(time.Minute), Until: at.Add(time.Hour),
	}
	bare := jobs.Sending{Job: jobs.Job{ID: 1, Kind: jobs.Noop, Attempt: 1, Sends: 1, Created: at}, Due: at, Until: at}
	for _, want := range []jobs.Sending{whole, bare} {
		data, err := encode(&want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(data)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", data, err, diff)
		}
	}
	for _, data := range []string{"", "{", `{"o":"not an id"}`, `[1]`} {
		if _, err := decode([]byte(data)); err == nil {
			t.Errorf("%q was read", data)
		}
	}
}
