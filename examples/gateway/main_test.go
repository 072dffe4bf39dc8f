package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/storetest"
)

const key = "key-of-the-test"

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "orgkit-gateway-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gateway")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is a gateway that runs.
type process struct {
	*exec.Cmd
	url string
	log *bytes.Buffer
}

func start(t *testing.T, db string, args ...string) *process {
	path, err := build()
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(path, append([]string{"-addr", "127.0.0.1:0", "-db", db, "-admin-key", key}, args...)...), log: &bytes.Buffer{}}
	p.Stderr = p.log
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, p.log)
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return p
}

func (p *process) call(method, path, body string) (int, map[string]any, error) {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	var o map[string]any
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !bytes.HasPrefix(b, []byte("[")) { // a list has nothing to ask for
		err = json.Unmarshal(b, &o)
	}
	return res.StatusCode, o, err
}

func TestGatewayServesAndEndsCleanly(t *testing.T) {
	p := start(t, "sqlite:"+filepath.Join(t.TempDir(), "g.db"))
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/v1/organizations": 200, "/nothing": 404} {
		status, _, err := p.call("GET", path, "")
		require.NoError(t, err)
		require.Equal(t, want, status, path)
	}
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.log)
	require.Empty(t, p.log.String())
}

func TestGatewayRefusesADatabaseThatIsNone(t *testing.T) {
	path, err := build()
	require.NoError(t, err)
	none := filepath.Join(t.TempDir(), "none.db")
	require.NoError(t, os.WriteFile(none, []byte(strings.Repeat("this is not a database\n", 100)), 0o600))
	for _, db := range []string{"mysql://x", "sqlite:", "sqlite:" + none, "sqlite:" + filepath.Join(t.TempDir(), "missing", "x.db"), "postgres://u:pa55word@127.0.0.1:1/x"} {
		out, err := exec.Command(path, "-addr", "127.0.0.1:0", "-db", db).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, db)
		require.Equal(t, 1, exit.ExitCode())
		require.Contains(t, string(out), "gateway:")
		require.NotContains(t, string(out), "pa55word")
	}
}

// TestKilledGatewayLosesNoAnswer kills the process at random moments while it is changed, and finds
// everything that was answered when it runs again.
func TestKilledGatewayLosesNoAnswer(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for name, db := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "g.db") },
		"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dsn := db(t)
			var answered []string
			for round := range rounds {
				p := start(t, dsn)
				for _, path := range answered {
					status, _, err := p.call("GET", path, "")
					require.NoError(t, err)
					require.Equal(t, 200, status, "%s is lost", path)
				}
				answered = append(answered, killed(t, p, round)...)
			}
			require.NotEmpty(t, answered)
		})
	}
}

// killed changes things until the process is gone and returns what it had answered for.
func killed(t *testing.T, p *process, round int) (paths []string) {
	kill := sync.OnceFunc(func() { // from the first answer on, so that there is one on a slow machine too
		time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { p.Process.Kill() })
	})
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				status, org, err := p.call("POST", "/v1/organizations", fmt.Sprintf(`{"name": "Org %d %d %d"}`, round, worker, n))
				if err != nil {
					return // it is gone, and nobody knows whether this one was stored
				}
				if status != 201 {
					t.Errorf("status %d: %v", status, org)
					return
				}
				mu.Lock()
				paths = append(paths, "/v1/organizations/"+org["id"].(string))
				mu.Unlock()
				kill()
				status, team, err := p.call("POST", "/v1/organizations/"+org["id"].(string)+"/teams", `{"name": "Team"}`)
				if err != nil || status != 201 {
					return
				}
				mu.Lock()
				paths = append(paths, "/v1/teams/"+team["id"].(string))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	p.Wait()
	return paths
}
