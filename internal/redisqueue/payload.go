package redisqueue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"gapura/internal/id"
	"gapura/internal/jobs"
)

// payload is a sending as it lies in Redis. It has all that a worker needs to know, so that an attempt begins without a
// read, and nothing about a person.
type payload struct {
	ID      int64  `json:"i"`
	Kind    string `json:"k"`
	Event   int64  `json:"e,omitempty"`
	Order   string `json:"o,omitempty"`
	Version int    `json:"v,omitempty"`
	Arg     string `json:"a,omitempty"`
	Attempt int    `json:"n"`
	Sends   int    `json:"s"`
	Created int64  `json:"c"` // milliseconds since 1970, as the next two
	Due     int64  `json:"d"`
	Until   int64  `json:"u"`
}

func encode(s *jobs.Sending) ([]byte, error) {
	p := payload{
		ID: s.ID, Kind: string(s.Kind), Event: s.EventID, Version: s.Version, Arg: s.Arg, Attempt: s.Attempt, Sends: s.Sends,
		Created: s.Created.UnixMilli(), Due: s.Due.UnixMilli(), Until: s.Until.UnixMilli(),
	}
	if !s.Order.IsNil() {
		p.Order = s.Order.String()
	}
	return json.Marshal(p)
}

func decode(data []byte) (jobs.Sending, error) {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return jobs.Sending{}, fmt.Errorf("a job's payload: %w", err)
	}
	s := jobs.Sending{
		Job: jobs.Job{
			ID: p.ID, Kind: jobs.Kind(p.Kind), EventID: p.Event, Version: p.Version, Arg: p.Arg, Attempt: p.Attempt, Sends: p.Sends,
			Created: moment(p.Created),
		},
		Due: moment(p.Due), Until: moment(p.Until),
	}
	if p.Order == "" {
		return s, nil
	}
	var err error
	if s.Order, err = id.Parse(p.Order); err != nil {
		return s, fmt.Errorf("a job's order: %w", err)
	}
	return s, nil
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// taskID is the task's name in asynq: the same for every delivery of one sending.
func taskID(j *jobs.Job) string {
	return "ob-" + strconv.FormatInt(j.ID, 10) + "-" + strconv.Itoa(j.Sends)
}
