package waitroom_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/lifecycle"
	"gapura/internal/waitroom"
	"gapura/internal/waitroom/waitroomtest"
)

// BenchmarkJoin is what a draw costs beside the database: hashing, gathering, signing, with commits of 10 ms.
func BenchmarkJoin(b *testing.B) {
	store := waitroomtest.NewStore(clock.System{})
	signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
	if err != nil {
		b.Fatal(err)
	}
	group := lifecycle.NewGroup(context.Background())
	rooms := waitroom.New(waitroom.Config{
		Store: store, Signer: signer, Clock: clock.System{}, Node: "a", Tuning: waitroom.DefaultTuning(),
		Log:    slog.New(slog.DiscardHandler),
		Sample: func() waitroom.Sample { return waitroom.Sample{} },
		Left:   func(int64) (waitroom.Stock, int64) { return waitroom.InStock, -1 },
	}, group)
	set := waitroom.Settings{EventID: eventID, Slug: "race", OpensAt: time.Now().Add(time.Hour), Draw: true}
	if err := rooms.Open(b.Context(), set); err != nil {
		b.Fatal(err)
	}
	store.Interfere(func(method string) error {
		if method == "SaveDraws" {
			<-time.After(10 * time.Millisecond) // a commit
		}
		return nil
	})
	b.SetParallelism(2000)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := rooms.Join(b.Context(), eventID, waitroom.NewVisitor()); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	_ = group.Stop(context.Background())
}
