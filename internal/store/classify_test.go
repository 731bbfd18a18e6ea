package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/go-sql-driver/mysql"

	"gapura/internal/registration"
)

// TestErrorsOfMySQL: what an error's number means to the engine, in a statement and at COMMIT.
func TestErrorsOfMySQL(t *testing.T) {
	t.Parallel()
	d, err := dialectOf(DriverMySQL)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n uint16) error { return fmt.Errorf("insert: %w", &mysql.MySQLError{Number: n}) }
	tests := []struct {
		name              string
		err               error
		statement, commit error
	}{
		{"duplicate", number(1062), registration.ErrDuplicate, registration.ErrDuplicate},
		{"deadlock", number(1213), registration.ErrContention, registration.ErrContention},
		{"lock wait", number(1205), registration.ErrContention, registration.ErrContention},
		{"too long", number(1406), registration.ErrRejected, registration.ErrRejected},
		{"check violated, MariaDB", number(4025), registration.ErrRejected, registration.ErrRejected},
		{"check violated, MySQL", number(3819), registration.ErrRejected, registration.ErrRejected},
		{"read-only", number(1290), registration.ErrUnavailable, registration.ErrUnavailable},
		{"disk full", number(1021), registration.ErrUnavailable, registration.ErrUnavailable},
		{"too many connections", number(1040), registration.ErrUnavailable, registration.ErrUnavailable},
		// At COMMIT the server may have been ended before or after it wrote.
		{"server shuts down", number(1053), registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"query interrupted", number(1317), registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"connection killed", number(1927), registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"error during commit", number(1180), registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"connection lost", mysql.ErrInvalidConn, registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"bad connection", driver.ErrBadConn, registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"end of stream", io.ErrUnexpectedEOF, registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"reset", &net.OpError{Op: "read", Err: errors.New("reset")}, registration.ErrUnavailable, registration.ErrCommitUnknown},
		{"too late", context.DeadlineExceeded, registration.ErrUnavailable, registration.ErrCommitUnknown},
	}
	for _, test := range tests {
		if got := d.classify(test.err); !errors.Is(got, test.statement) || !errors.Is(got, test.err) {
			t.Errorf("%s: %v, want %v", test.name, got, test.statement)
		}
		if got := d.classifyCommit(test.err); !errors.Is(got, test.commit) || !errors.Is(got, test.err) {
			t.Errorf("%s at COMMIT: %v, want %v", test.name, got, test.commit)
		}
	}
	plain := errors.New("a mistake")
	if got := d.classify(plain); got != plain { //nolint:errorlint // the very same, not wrapped
		t.Errorf("an unknown error became %v", got)
	}
	if got := d.classify(registration.ErrNothing); got != registration.ErrNothing { //nolint:errorlint // the very same, not wrapped
		t.Errorf("nothing to write became %v", got)
	}
}
