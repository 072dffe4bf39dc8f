package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export/exporttest"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// sink is a log sink that notes the sequence of each record, and fails now and then.
type sink struct {
	mu   sync.Mutex
	seqs []int64
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var records []struct {
		Sequence int64 `json:"sequence"`
	}
	if err := json.NewDecoder(r.Body).Decode(&records); err != nil {
		return // whoever sends was killed in the middle of it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	some := len(s.seqs)
	for _, record := range records {
		if record.Sequence >= 0 { // else it is that of a probe, which is not tried again
			s.seqs = append(s.seqs, record.Sequence)
		}
	}
	if len(s.seqs) > some && rand.IntN(10) == 0 {
		panic(http.ErrAbortHandler) // it has them, and cannot say so
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestKilledGatewayDelivers kills the process at random moments while it delivers. Afterwards each object is there
// once, they are the whole log and verify without the database, and the sink has each event, in order.
func TestKilledGatewayDelivers(t *testing.T) { // audit goal 10
	rounds := 15
	if testing.Short() {
		rounds = 4
	}
	secret, public, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	verify := filepath.Join(t.TempDir(), "auditverify")
	out, err := exec.Command("go", "build", "-o", verify, "../auditverify").CombinedOutput()
	require.NoError(t, err, string(out))
	for name, db := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "g.db") },
		"postgres": func(t *testing.T) string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			store := exporttest.S3(t, "us-east-1")
			dir := store.Bucket(t, "audit-logs")
			got := &sink{}
			server := httptest.NewServer(got)
			t.Cleanup(server.Close)
			dsn := db(t)
			gateway := func() *process {
				return start(t, dsn, "-audit-key", secret, "-allow", "127.0.0.1", "-export-age", "1ms", "-export-lease", "600ms")
			}
			p := gateway()
			status, org, err := p.call("POST", "/v1/organizations", `{"name": "Acme"}`)
			require.NoError(t, err)
			require.Equal(t, 201, status, org)
			path := "/v1/organizations/" + org["id"].(string)
			status, config, err := p.call("PUT", path+"/audit?verify=true", fmt.Sprintf(`{"export_destinations": [
				{"type": "s3", "bucket": "audit-logs", "prefix": "parrotrouter/", "encryption": "AES256", "endpoint": %q, "access_key_id": %q, "secret_access_key": %q},
				{"type": "siem", "endpoint": %q, "api_key": "canary", "format": "json"}]}`, store.Endpoint, store.AccessKeyID, store.SecretAccessKey, server.URL))
			require.NoError(t, err)
			require.Equal(t, 200, status, config)
			for _, d := range config["export_destinations"].([]any) {
				require.Equal(t, "ok", d.(map[string]any)["status"])
			}
			for round := range rounds {
				time.AfterFunc(time.Duration(100+rand.IntN(1400))*time.Millisecond, func() { p.Process.Kill() })
				for n := 0; ; n++ {
					if _, _, err := p.call("POST", path+"/teams", fmt.Sprintf(`{"name": "Team %d %d"}`, round, n)); err != nil {
						break
					}
				}
				require.Error(t, p.Wait(), "it was killed")
				require.NotContains(t, p.log.String(), "canary")
				p = gateway()
			}
			for _, d := range config["export_destinations"].([]any) {
				status, d, err := p.call("POST", path+"/audit/destinations/"+d.(map[string]any)["id"].(string)+"/retry", "")
				require.NoError(t, err)
				require.Equal(t, 200, status, d)
				require.Nil(t, d["retry_at"])
			}
			checkpoint := inStep(t, p, path)
			require.NoError(t, p.Process.Signal(syscall.SIGTERM))
			require.NoError(t, p.Wait(), p.log)

			size := int64(checkpoint["size"].(float64))
			require.Equal(t, size, tiles(t, dir))
			kept := filepath.Join(t.TempDir(), "checkpoint")
			require.NoError(t, os.WriteFile(kept, []byte(checkpoint["note"].(string)), 0o600))
			out, err := exec.Command(verify, "-key", public, "-checkpoint", kept, dir).CombinedOutput()
			require.NoError(t, err, string(out))
			t.Logf("%s", out)

			next := got.seqs[0]
			for _, seq := range got.seqs {
				require.LessOrEqual(t, seq, next, "event %d is not passed over", next)
				next = max(next, seq+1)
			}
			require.Equal(t, size, next)
			t.Logf("%d events, %d of them sent to the sink again", size, int64(len(got.seqs))-(next-got.seqs[0]))
		})
	}
}

// inStep waits until all destinations have all that is in the log, and returns its checkpoint.
func inStep(t *testing.T, p *process, path string) (checkpoint map[string]any) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, c, err := p.call("GET", path+"/audit/checkpoint", "")
		require.NoError(t, err)
		_, config, err := p.call("GET", path+"/audit", "")
		require.NoError(t, err)
		checkpoint = c
		for _, d := range config["export_destinations"].([]any) {
			if d.(map[string]any)["next_sequence"] != c["size"] {
				return false
			}
		}
		return true
	}, 2*time.Minute, 50*time.Millisecond, "it does not deliver any more: %s", p.log)
	return checkpoint
}

var object = regexp.MustCompile(`^org_\w+-(\d{12})-(\d{12})-[0-9a-f]{8}\.(jsonl\.gz|proof\.json)$`)

// tiles holds the objects of a bucket against each other, which follow each other from the first event on, and returns
// behind which event they end.
func tiles(t *testing.T, dir string) (end int64) {
	t.Helper()
	ends := map[string]int64{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".orgkit-probe" {
			return err
		}
		m := object.FindStringSubmatch(d.Name())
		require.NotNil(t, m, path)
		first, _ := strconv.ParseInt(m[1], 10, 64)
		size, _ := strconv.ParseInt(m[2], 10, 64)
		require.Equal(t, ends[m[3]], first, "%s follows", path)
		ends[m[3]] = size
		return nil
	}))
	require.Len(t, ends, 2)
	require.Equal(t, ends["jsonl.gz"], ends["proof.json"])
	return ends["jsonl.gz"]
}
