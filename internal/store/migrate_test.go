package store_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"gapura/internal/registration"
	"gapura/test/conformance"
)

// TestAMigrationMayTakeLong: longer than any answer of the database may take otherwise. Another session reads the table that
// is to be changed, for more than ten seconds.
func TestAMigrationMayTakeLong(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	s := d.Store(t)
	p, err := s.Provider()
	must(t, err)
	if _, err := p.DownTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	reader, err := d.SQL(t).Conn(t.Context())
	must(t, err)
	defer reader.Close()
	for _, statement := range []string{"START TRANSACTION", "DO (SELECT COUNT(*) FROM participants)"} {
		if _, err := reader.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	begin, migrated := time.Now(), make(chan error, 1)
	go func() {
		_, err := s.Migrate(context.Background())
		migrated <- err
	}()
	const longer = 11 * time.Second
	select {
	case err := <-migrated:
		t.Fatalf("the migration ended after %s, under the reader: %v", time.Since(begin), err)
	case <-time.After(longer):
	}
	if _, err := reader.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || pending != 0 {
		t.Errorf("%d migrations are left, %v", pending, err)
	}
}

// TestTheLongestAnswersFit: as many questions as an event may ask, each answered with as many characters as it takes, of the
// kinds that grow when they are written.
func TestTheLongestAnswersFit(t *testing.T) {
	t.Parallel()
	const questions, characters = 50, 500
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, "first-race", 10))
		for n, letter := range []string{"<", "\n", "\u2028", "😀", "\\", `"`} {
			answers := map[string]string{}
			for q := range questions {
				answers[fmt.Sprintf("question-with-a-long-name-%02d", q)] = strings.Repeat(letter, characters)
			}
			o := conformance.NewOrder(eventID, n+1, func(o *registration.NewOrder) { o.Order.Participants[0].Answers = answers })
			if err := conformance.Write(t, s, eventID, o); err != nil {
				t.Errorf("%q: %v", letter, err)
				continue
			}
			got, err := s.Order(t.Context(), o.Order.ID)
			if err != nil || !maps.Equal(got.Participants[0].Answers, answers) {
				t.Errorf("%q comes back differently: %v", letter, err)
			}
		}
	})
}
