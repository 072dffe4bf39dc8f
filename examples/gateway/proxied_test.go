package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/examples/internal/fakemodel"
)

// TestDemonstration does what the lines say that are printed.
func TestDemonstration(t *testing.T) {
	path, err := build()
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(path, "-demo", "-addr", "127.0.0.1:0", "-admin-key", key)}
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	lines := bufio.NewScanner(out)
	curl := regexp.MustCompile(`^curl -sN (\S+) -H 'Authorization: (Bearer \S+)' -d '(.*)'$`)
	var seen []string
	for len(seen) < 3 && lines.Scan() {
		m := curl.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		r, err := http.NewRequest(http.MethodPost, m[1], strings.NewReader(m[3]))
		require.NoError(t, err)
		r.Header.Set("Authorization", m[2])
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		res.Body.Close()
		var o struct{ Code string }
		_ = json.Unmarshal(text, &o) // a stream has none
		seen = append(seen, strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", o.Code)))
	}
	require.Equal(t, []string{"200", "403 model_not_allowed", "402 budget_exceeded"}, seen)
	provider := regexp.MustCompile(`^scim: (\S+) token: (\S+)$`)
	found := false
	for !found && lines.Scan() {
		m := provider.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		found = true
		r, err := http.NewRequest(http.MethodPost, m[1]+"/Users", strings.NewReader(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"anna@acme.example"}`))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+m[2])
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusCreated, res.StatusCode)
		require.True(t, strings.HasPrefix(res.Header.Get("Location"), m[1]+"/Users/"))
	}
	require.True(t, found, "a token for an identity provider is printed")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait())
}

// lab is a gateway whose calls cost a dollar each.
type lab struct {
	*process
	t       *testing.T
	args    []string
	db      string
	org     string
	secret  string
	reached atomic.Int64
}

// newLab starts one with a team of these settings, in front of upstreams that answer as fakemodel does after a while, or as
// they are told.
func newLab(t *testing.T, settings string, upstreams map[string]http.HandlerFunc) *lab {
	l := &lab{t: t, db: "sqlite:" + filepath.Join(t.TempDir(), "lab.db")}
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"talker": [{"prices": {"request": "1", "input_token": "0", "output_token": "0"}}]}}`), 0o600))
	l.args = []string{"-prices", prices}
	model := fakemodel.New(&fakemodel.Options{Word: 2 * time.Millisecond})
	if upstreams == nil {
		upstreams = map[string]http.HandlerFunc{"only": model.ServeHTTP}
	}
	for name, h := range upstreams {
		if h == nil {
			h = model.ServeHTTP
		}
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.reached.Add(1)
			h(w, r)
		}))
		t.Cleanup(up.Close)
		l.args = append(l.args, "-upstream", name+"="+up.URL+"/v1")
	}
	l.process = start(t, l.db, l.args...)
	l.org = l.do("POST", "/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	team := l.do("POST", "/v1/organizations/"+l.org+"/teams", `{"name": "Lab", "settings": `+settings+`}`)["id"].(string)
	l.secret = l.do("POST", "/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "inherit_team_permissions": true}`)["key"].(string)
	return l
}

func (l *lab) do(method, path, body string) map[string]any {
	l.t.Helper()
	status, o, err := l.call(method, path, body)
	require.NoError(l.t, err)
	require.Less(l.t, status, 300, "%v", o)
	return o
}

// ask asks once, and answers 0 where nobody does.
func (l *lab) ask(ctx context.Context, more string) (status int, text string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v1/chat/completions", strings.NewReader(`{"model": "talker", "max_tokens": 50, "messages": []`+more+`}`))
	if err != nil {
		return 0, ""
	}
	r.Header.Set("Authorization", "Bearer "+l.secret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, string(b)
	}
	return res.StatusCode, string(b)
}

// spent is what the team has spent, and what is left to it.
func (l *lab) spent() (spent, left float64) {
	l.t.Helper()
	for _, b := range l.do("GET", "/v1/organizations/"+l.org+"/budgets", "")["data"].([]any) {
		if b := b.(map[string]any); b["scope"] == "team" {
			return b["spent"].(float64), b["remaining"].(float64)
		}
	}
	l.t.Fatal("the team has no budget")
	return 0, 0
}

// TestAKilledGatewayLeavesABudgetThatCanBeUsedToItsEnd has 128 clients want ten calls, and the process killed among them.
func TestAKilledGatewayLeavesABudgetThatCanBeUsedToItsEnd(t *testing.T) {
	l := newLab(t, `{"budget": {"monthly_limit": 10, "hard_limit": true}}`, nil)
	var served atomic.Int64
	crowd := func(until func(status int) bool) *sync.WaitGroup {
		var wg sync.WaitGroup
		for range 128 {
			wg.Go(func() {
				for {
					status, _ := l.ask(t.Context(), "")
					if status == http.StatusOK {
						served.Add(1)
					}
					if until(status) {
						return
					}
				}
			})
		}
		return &wg
	}
	first := crowd(func(status int) bool { return status == 0 || status == http.StatusPaymentRequired })
	require.Eventually(t, func() bool { return l.reached.Load() >= 3 }, 20*time.Second, 100*time.Microsecond)
	require.NoError(t, l.Process.Kill())
	_ = l.Wait() // it was killed
	first.Wait()
	l.process = start(t, l.db, l.args...)
	// What the dead one had goes back when it is found dead.
	require.Eventually(t, func() bool {
		crowd(func(int) bool { return true }).Wait()
		spent, left := l.spent()
		return spent == 10 && left == 0
	}, time.Minute, 100*time.Millisecond)
	status, _ := l.ask(t.Context(), "")
	require.Equal(t, http.StatusPaymentRequired, status)
	require.LessOrEqual(t, l.reached.Load(), int64(10))
	require.LessOrEqual(t, served.Load(), l.reached.Load())
	t.Logf("%d calls reached the upstream, %d were answered", l.reached.Load(), served.Load())
}

// TestAGatewayThatIsToldToEndLosesNothing has streams run when it is told to.
func TestAGatewayThatIsToldToEndLosesNothing(t *testing.T) {
	l := newLab(t, `{"budget": {"monthly_limit": 100000, "hard_limit": true}}`, nil)
	var served, refused, cut atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for {
				status, text := l.ask(t.Context(), `, "stream": true`)
				switch {
				case status == 200 && strings.HasSuffix(text, "data: [DONE]\n\n"):
					served.Add(1)
					continue
				case status == 0 && text == "":
					refused.Add(1) // it listens no more
				default:
					cut.Add(1)
				}
				return
			}
		})
	}
	require.Eventually(t, func() bool { return served.Load() > 100 }, 30*time.Second, time.Millisecond)
	require.NoError(t, l.Process.Signal(syscall.SIGTERM))
	require.NoError(t, l.Wait())
	wg.Wait()
	require.Zero(t, cut.Load(), "whoever was admitted has got the whole answer")
	require.Equal(t, served.Load(), l.reached.Load())
	l.process = start(t, l.db, l.args...)
	spent, left := l.spent()
	require.EqualValues(t, served.Load(), spent)
	require.EqualValues(t, 100000-served.Load(), left, "what it had of the budget went back")
	usage := l.do("GET", "/v1/organizations/"+l.org+"/analytics?period=today&metrics=total_requests,total_cost", "")["metrics"].(map[string]any)
	require.Equal(t, []any{float64(served.Load()), float64(served.Load())}, []any{usage["total_requests"], usage["total_cost"]})
}

func TestTheProviderThatATeamPrefersIsAskedFirst(t *testing.T) { // F097
	var broken atomic.Bool
	says := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if name == "good" && broken.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintf(w, `{"from": %q, "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`, name)
		}
	}
	l := newLab(t, `{"models": {"preferred_providers": ["good", "better"]}}`, map[string]http.HandlerFunc{"bad": says("bad"), "better": says("better"), "good": says("good")})
	ask := func(from string) {
		status, text := l.ask(t.Context(), "")
		require.Equal(t, 200, status, text)
		require.Contains(t, text, from)
	}
	ask(`"good"`)
	broken.Store(true)
	ask(`"better"`)
	before := l.reached.Load()
	ask(`"better"`)
	require.Equal(t, before+1, l.reached.Load(), "what does not answer is left in peace for a while")
}
