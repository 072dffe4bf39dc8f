package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// childDatabase names the database of a process that only serves it: this test binary, run again.
const childDatabase = "ORGKIT_TEST_REST_DATABASE"

func TestMain(m *testing.M) {
	database := os.Getenv(childDatabase)
	if database == "" {
		os.Exit(m.Run())
	}
	if err := serveChild(database); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveChild serves until its input ends.
func serveChild(database string) error {
	s, err := openDatabase(context.Background(), database)
	if err != nil {
		return err
	}
	m, err := orgs.New(s, nil)
	if err != nil {
		return err
	}
	h, err := rest.New(m, &rest.Options{AdminKey: adminKey})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, h)
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func openDatabase(ctx context.Context, database string) (*store.Store, error) {
	if strings.HasPrefix(database, "postgres") {
		return postgres.Open(ctx, database, nil)
	}
	return sqlite.Open(ctx, database, nil)
}

// server is a process that serves a database.
type server struct {
	url  string
	kill func()
}

func startServer(t *testing.T, database string) server {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), childDatabase+"="+database), os.Stderr
	_, err = cmd.StdinPipe() // which ends with this process
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return server{"http://" + strings.TrimSpace(line), kill}
}

// TestEqualPostsToTwoProcessesMakeOneThoughOneIsKilled: each of 64 clients sends the same POST to one of two processes until
// it is answered. One of the processes is killed meanwhile.
func TestEqualPostsToTwoProcessesMakeOneThoughOneIsKilled(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	databases := map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "shared.db") },
		"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
	}
	for name, fresh := range databases {
		t.Run(name, func(t *testing.T) {
			database := fresh(t)
			stays := startServer(t, database)
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			post := func(url, key, body string) (int, string, error) {
				r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/organizations", strings.NewReader(body))
				if err != nil {
					return 0, "", err
				}
				r.Header.Set("Authorization", "Bearer "+adminKey)
				r.Header.Set("Idempotency-Key", key)
				resp, err := client.Do(r)
				if err != nil {
					return 0, "", err
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				return resp.StatusCode, string(text), err
			}
			for round := range rounds {
				dies := startServer(t, database)
				key, body := fmt.Sprint("round-", round), fmt.Sprintf(`{"name": "Round %d"}`, round)
				var clients sync.WaitGroup
				answers := make(chan string, 64)
				for i := range 64 {
					clients.Go(func() {
						at := []string{stays.url, dies.url}[i%2]
						for try := 0; ; try++ {
							status, text, err := post(at, key, body)
							switch {
							case err == nil && status == http.StatusCreated:
								answers <- text
								return
							case err == nil && status != http.StatusServiceUnavailable && status != http.StatusConflict || try == 20:
								answers <- fmt.Sprint(status, " ", text, " ", err)
								return
							}
							at = stays.url // the other one is gone, or it was busy
						}
					})
				}
				time.Sleep(rand.N(60 * time.Millisecond)) // when it is killed is the chance of the test
				dies.kill()
				clients.Wait()
				close(answers)
				first := <-answers
				for other := range answers {
					require.Equal(t, first, other)
				}
				o := parse(t, first)
				require.Equal(t, fmt.Sprint("Round ", round), o["name"], first)
			}
			s, err := openDatabase(t.Context(), database)
			require.NoError(t, err)
			defer s.Close()
			c := newClient(t, s)
			require.Len(t, c.call(200, "GET", "/v1/organizations?limit=200", "")["data"], rounds)
		})
	}
}
