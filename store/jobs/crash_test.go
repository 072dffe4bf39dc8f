package jobs_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

const (
	childDatabase = "ORGKIT_JOBS_DATABASE" // set in a process that is to be killed
	childDiary    = "ORGKIT_JOBS_DIARY"    // the file in which its handlers write down what they did
)

func TestMain(m *testing.M) {
	database := os.Getenv(childDatabase)
	if database == "" {
		os.Exit(m.Run())
	}
	if err := enqueueAndRun(context.Background(), database, os.Getenv(childDiary)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func openDatabase(ctx context.Context, database string) (*store.Store, error) {
	if strings.HasPrefix(database, "postgres") {
		return postgres.Open(ctx, database, nil)
	}
	return sqlite.Open(ctx, database, nil)
}

// note is the payload of the jobs of these tests.
type note struct {
	Text string
}

// delivering is a worker whose jobs leave a line each in a file, which nobody takes back, or enqueue one that does, in
// the unit in which they end.
func delivering(s *store.Store, diary string) (*jobs.Worker, error) {
	file, err := os.OpenFile(diary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w := jobs.NewWorker(s, &jobs.Options{Lease: time.Second, Poll: 20 * time.Millisecond, Concurrency: 4})
	w.Handle("tell", func(_ context.Context, j jobs.Job) error {
		var n note
		if err := j.Decode(&n); err != nil {
			return err
		}
		_, err := fmt.Fprintf(file, "%s %s\n", n.Text, j.ID)
		return err
	}, nil)
	w.Handle("pass", func(ctx context.Context, j jobs.Job) error {
		return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			var n note
			if err := j.Decode(&n); err != nil {
				return err
			}
			if _, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "tell", Payload: n}); err != nil {
				return err
			}
			return j.Complete(ctx, tx)
		})
	}, nil)
	return w, nil
}

// enqueueAndRun enqueues jobs and says each that is stored, and runs them meanwhile.
func enqueueAndRun(ctx context.Context, database, diary string) error {
	s, err := openDatabase(ctx, database)
	if err != nil {
		return err
	}
	w, err := delivering(s, diary)
	if err != nil {
		return err
	}
	ended := make(chan error, 4)
	go func() { ended <- w.Run(ctx) }()
	for who := range 3 {
		go func() {
			for n := 0; ; n++ {
				in := jobs.NewJob{Kind: "tell", Payload: note{fmt.Sprintf("%d-%d-%d", os.Getpid(), who, n)}}
				switch who {
				case 1:
					in.Kind = "pass"
				case 2:
					in.Lane = "lane"
				}
				err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
					_, _, err := jobs.Enqueue(ctx, tx, in)
					return err
				})
				if err != nil {
					ended <- err
					return
				}
				fmt.Println(in.Payload.(note).Text)
			}
		}()
	}
	go func() { // the parent is gone
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		ended <- nil
	}()
	return <-ended
}

// TestKilledWorkersDeliverEverything kills a process that enqueues and runs jobs, at random moments: everything that
// it has said to be stored is done in the end, what a lane holds in its order, and what ends with its effects once.
func TestKilledWorkersDeliverEverything(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	for name, database := range map[string]func() string{
		"sqlite":   func() string { return filepath.Join(t.TempDir(), "jobs.db") },
		"postgres": func() string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dsn, diary := database(), filepath.Join(t.TempDir(), "diary")
			var stored []string
			for range rounds {
				stored = append(stored, killed(t, dsn, diary)...)
			}
			require.Greater(t, len(stored), rounds)

			s, err := openDatabase(t.Context(), dsn)
			require.NoError(t, err)
			defer s.Close()
			w, err := delivering(s, diary)
			require.NoError(t, err)
			stop := background(t, w)
			done := map[string]map[string]bool{} // the ids of the jobs that did it
			require.Eventually(t, func() bool {
				for _, line := range lines(t, diary) {
					text, id, _ := strings.Cut(line, " ")
					if done[text] == nil {
						done[text] = map[string]bool{}
					}
					done[text][id] = true
				}
				for _, text := range stored {
					if done[text] == nil {
						return false
					}
				}
				return true
			}, time.Minute, 50*time.Millisecond, "some of what was stored is never done")
			stop()
			for text, ids := range done {
				require.Len(t, ids, 1, "%s was passed on more than once", text)
			}
			require.Empty(t, deadLetters(t, s, jobs.DeadQuery{AnyOrg: true}))
			inOrder(t, lines(t, diary))
			t.Logf("%d jobs were stored and done, %d lines", len(stored), len(lines(t, diary)))
		})
	}
}

// killed is one round: what the process said before it was killed.
func killed(t *testing.T, database, diary string) (stored []string) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childDatabase+"="+database, childDiary+"="+diary)
	var errors strings.Builder
	cmd.Stderr = &errors
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	some := 1 + rand.IntN(40) // so that the moment is as random on a slow machine
	for r := bufio.NewScanner(out); r.Scan(); {
		stored = append(stored, r.Text())
		if len(stored) == some {
			time.AfterFunc(rand.N(10*time.Millisecond), func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait()
	require.Empty(t, errors.String(), "the process ended by itself")
	return stored
}

func lines(t *testing.T, path string) []string {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// inOrder checks that the jobs of the lane were first done in the order in which they were stored.
func inOrder(t *testing.T, lines []string) {
	last, seen := map[int]int{}, map[string]bool{}
	for _, line := range lines {
		var process, who, n int
		_, err := fmt.Sscanf(line, "%d-%d-%d", &process, &who, &n)
		require.NoError(t, err, line)
		if who != 2 || seen[line] {
			continue
		}
		seen[line] = true
		next := 0
		if before, is := last[process]; is {
			next = before + 1
		}
		require.Equal(t, next, n, line)
		last[process] = n
	}
}
