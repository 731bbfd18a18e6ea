package app

import (
	"testing"
	"testing/synctest"
	"time"
)

// Registrations that hardly wait are no reason for anything else to wait.
func TestRegistrationsThatWaitAreNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rush
		late := func(want bool) {
			t.Helper()
			if got := r.lateSince(time.Now().Add(-2 * rushEvery)); got != want {
				t.Errorf("registrations wait: %v, want %v", got, want)
			}
		}
		late(false)
		r.add(100, lateAfter)
		late(false)
		r.add(500, lateAfter+time.Millisecond)
		late(true)
		time.Sleep(rushEvery)
		r.add(3, time.Millisecond)
		late(true) // a moment's rest is not the end
		time.Sleep(rushEvery)
		late(false)
	})
}
