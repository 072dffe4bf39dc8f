package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// A host enqueues in the unit of the change that the job belongs to, and lets a worker run beside its
// server: go w.Run(ctx).
func Example() {
	ctx := context.Background()
	s := memory.New(nil)
	w := jobs.NewWorker(s, nil)
	w.Handle("invitation.mail", func(ctx context.Context, j jobs.Job) error {
		var to string
		if err := j.Decode(&to); err != nil {
			return jobs.Permanent(err)
		}
		fmt.Println("mail to", to)
		return nil
	}, nil)

	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "invitation.mail", OrgID: "org_1", Payload: "ann@example.com"})
		return err // with the invitation itself
	})
	fmt.Println(err)

	ran, err := w.RunDue(ctx)
	fmt.Println(ran, err)
	// Output:
	// <nil>
	// mail to ann@example.com
	// 1 <nil>
}

// What failed for good is kept until somebody decides.
func ExampleDeadLetters() {
	ctx := context.Background()
	s := memory.New(nil)
	w := jobs.NewWorker(s, nil)
	w.Handle("hook", func(ctx context.Context, j jobs.Job) error {
		return jobs.Permanent(errors.New("410 Gone"))
	}, nil)
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "hook", OrgID: "org_1"})
		return err
	})
	fmt.Println(err)
	ran, _ := w.RunDue(ctx)
	fmt.Println(ran)

	err = s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err := jobs.DeadLetters(ctx, tx, jobs.DeadQuery{OrgID: "org_1"})
		for _, d := range page.Items {
			fmt.Println(d.Kind, d.Attempt, d.LastError)
			if err := jobs.Discard(ctx, tx, "org_1", d.ID); err != nil {
				return err
			}
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// 1
	// hook 1 410 Gone
	// <nil>
}

// In a host's tests time stands still until it is moved.
func ExampleSchedule() {
	ctx := context.Background()
	clock := storetest.NewClock() // noon of 5 March 2024
	s := memory.New(&memory.Options{Store: store.Options{Now: clock.Now}})
	w := jobs.NewWorker(s, nil)
	w.Handle("report", func(ctx context.Context, j jobs.Job) error {
		fmt.Println("report of", j.RunAt.Format("2 January, 15:04 MST"))
		return nil
	}, nil)

	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return jobs.CreateSchedule(ctx, tx, &jobs.Schedule{OrgID: "org_1", Name: "daily", Kind: "report",
			Cron: "0 7 * * *", Zone: "Europe/Berlin"})
	})
	fmt.Println(err)

	clock.Advance(24 * time.Hour)
	ran, err := w.RunDue(ctx)
	fmt.Println(ran, err)
	// Output:
	// <nil>
	// report of 6 March, 06:00 UTC
	// 1 <nil>
}

func ExampleNext() {
	// In New York 2:30 is left out on this day.
	next, err := jobs.Next("30 2 * * *", "America/New_York", time.Date(2024, 3, 10, 0, 0, 0, 0, time.UTC))
	fmt.Println(next, err)
	// Output: 2024-03-10 07:00:00 +0000 UTC <nil>
}
