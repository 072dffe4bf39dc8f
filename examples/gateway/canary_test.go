package main

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export/exporttest"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// evidence is all that is left by a gateway, by where it is.
type evidence struct {
	mu    sync.Mutex
	found map[string][]byte
}

func (e *evidence) add(where string, b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.found == nil {
		e.found = map[string][]byte{}
	}
	e.found[where] = append(e.found[where], b...)
}

// holds looks for a secret, as it is and as it may be spelled.
func (e *evidence) holds(secret string) (places []string) {
	for where, b := range e.found {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if bytes.Contains(b, []byte(form)) {
				places = append(places, where)
			}
		}
	}
	return places
}

// TestNoSecretIsLeftBehind gives a gateway a secret wherever one can be given and has it make those that it makes, also in
// requests that fail, and looks for them in the files and rows of the database, in its messages, in what it answers to
// others, in buckets and at sinks (F336).
func TestNoSecretIsLeftBehind(t *testing.T) {
	signing, _, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	sealing := seal.GenerateKey()
	t.Setenv("ORGKIT_SEAL_KEY", sealing)
	t.Setenv("ORGKIT_SMTP_PASSWORD", "canary-smtp-password")
	for name, db := range map[string]func(dir string) string{
		"sqlite":   func(dir string) string { return "sqlite:" + filepath.Join(dir, "g.db") },
		"postgres": func(string) string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			left, dir := &evidence{}, t.TempDir()
			store := exporttest.S3(t, "us-east-1")
			bucket := store.Bucket(t, "audit-logs")
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				left.add("body sent to a sink or webhook", b)
				w.WriteHeader(http.StatusNoContent)
			}))
			t.Cleanup(receiver.Close)
			mails := make(inbox, 10)
			server := smtp.NewServer(mails)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			go server.Serve(l)
			t.Cleanup(func() { server.Close() })

			dsn := db(dir)
			p := start(t, dsn, "-audit-key", signing, "-allow", "127.0.0.1", "-export-age", "1ms",
				"-smtp", l.Addr().String(), "-smtp-plain", "-mail-from", "no-reply@ai.example")
			secrets := map[string]string{"the operator's key": key, "the sealing key": sealing, "the signing key": signing, "the password of the mail server": "canary-smtp-password",
				"the sink's key": "canary-siem-key", "the store's key id": store.AccessKeyID, "the store's key": store.SecretAccessKey}
			call := func(want int, token, method, path, body string, issued ...string) map[string]any {
				t.Helper()
				req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
				require.NoError(t, err)
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.Equal(t, want, res.StatusCode, "%s %s: %s", method, path, b)
				var o map[string]any
				require.NoError(t, json.Unmarshal(b, &o), "%s", b)
				for _, field := range issued { // shown this once
					secret, _ := o[field].(string)
					require.Greater(t, len(secret), 20, "%s of %s", field, b)
					secrets[fmt.Sprint(field, " of ", path, " ", len(secrets))] = secret
					b = bytes.ReplaceAll(b, []byte(secret), nil)
				}
				left.add("answer to "+method+" "+path, b)
				return o
			}

			org := "/v1/organizations/" + call(201, key, "POST", "/v1/organizations", `{"name": "Acme"}`)["id"].(string)
			settings := fmt.Sprintf(`{"compliance": {"encryption_at_rest": true}, "export_destinations": [
				{"type": "s3", "bucket": "audit-logs", "endpoint": %q, "access_key_id": %q, "secret_access_key": %q},
				{"type": "siem", "endpoint": %q, "api_key": "canary-siem-key"}]}`, store.Endpoint, store.AccessKeyID, store.SecretAccessKey, receiver.URL)
			call(200, key, "PUT", org+"/audit?verify=true", settings)
			for _, body := range []string{strings.Replace(settings, receiver.URL, "https://10.0.0.1", 1), strings.Replace(settings, `"type": "siem"`, `"type": "canary-siem-key"`, 1),
				settings[:len(settings)-3], strings.Replace(settings, `"canary-siem-key"`, `["canary-siem-key"]`, 1)} {
				call(400, key, "PUT", org+"/audit", body)
			}
			call(400, key, "PUT", org+"/audit?verify=true", strings.Replace(settings, store.SecretAccessKey, "canary-wrong-key", 1))
			secrets["a key that is wrong"] = "canary-wrong-key"

			hook := call(201, key, "POST", org+"/webhooks", fmt.Sprintf(`{"url": %q}`, receiver.URL), "secret")["id"].(string)
			call(200, key, "POST", org+"/webhooks/"+hook+"/rotate", `{}`, "secret")
			team := call(201, key, "POST", org+"/teams", `{"name": "Team"}`)["id"].(string)
			made := call(201, key, "POST", "/v1/api-keys", `{"name": "ci", "team_id": "`+team+`"}`, "key")
			call(200, key, "POST", "/v1/api-keys/"+made["id"].(string)+"/rotate", `{}`, "key")
			call(401, "ok_live_canary-of-nobody", "GET", org, "")
			secrets["a key of nobody"] = "ok_live_canary-of-nobody"

			call(200, key, "PUT", org+"/provisioning", `{"scim_enabled": true, "auto_provision_users": true, "sync_groups": true}`)
			provider := call(201, key, "POST", org+"/provisioning/tokens", `{"name": "made"}`, "token")
			secrets["a token that was chosen"], secrets["a password that a provider sends"] = "canary-scim-chosen", "canary-scim-password"
			call(201, key, "POST", org+"/provisioning/tokens", `{"name": "chosen", "secret": "canary-scim-chosen"}`)
			const person = `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "anna@acme.example", "password": "canary-scim-password"}`
			anna := call(201, provider["token"].(string), "POST", "/scim/v2/Users", person)["id"].(string)
			call(200, "canary-scim-chosen", "PUT", "/scim/v2/Users/"+anna, person)
			call(409, "canary-scim-chosen", "POST", "/scim/v2/Users", person)
			call(400, "canary-scim-chosen", "POST", "/scim/v2/Users", person[:len(person)-1])

			call(201, key, "POST", org+"/invitations", `{"email": "new@acme.example", "role": "member", "message": "come"}`)
			select {
			case mail := <-mails:
				token := regexp.MustCompile(`ok_inv_\w+`).FindString(strings.ReplaceAll(strings.ReplaceAll(mail, "=\r\n", ""), "=3D", "="))
				require.NotEmpty(t, token, mail)
				secrets["the token of an invitation"] = token
				for title, secret := range secrets {
					if secret != token {
						require.NotContains(t, mail, secret, title)
					}
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("there is no mail: %s", p.log)
			}
			call(200, key, "GET", org+"/audit/logs?limit=200", "")
			call(200, key, "GET", org+"/access_log?limit=200", "")
			inStep(t, p, org)
			if name == "sqlite" { // with the log of the database, as a process that is killed leaves it
				files(t, left, dir)
			}
			require.NoError(t, p.Process.Signal(syscall.SIGTERM))
			require.NoError(t, p.Wait(), p.log)
			left.add("messages", p.log.Bytes())
			files(t, left, dir)
			files(t, left, bucket)
			if name == "postgres" {
				rows(t, left, dsn)
			}

			require.Greater(t, len(left.found), 15)
			require.NotEmpty(t, left.holds("team.created"), "or this looks wrongly")
			for title, secret := range secrets {
				require.Empty(t, left.holds(secret), title)
			}
		})
	}
}

// files takes all files below a directory.
func files(t *testing.T, to *evidence, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to.add(path, b)
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				return err
			}
			if b, err = io.ReadAll(z); err != nil {
				return err
			}
			to.add(path, b)
		}
		return nil
	}))
}

// rows takes all rows of a database.
func rows(t *testing.T, to *evidence, dsn string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer db.Close()
	tables, err := db.Query(`SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()`)
	require.NoError(t, err)
	var names []string
	for tables.Next() {
		var name string
		require.NoError(t, tables.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, tables.Err())
	require.Greater(t, len(names), 20)
	for _, name := range names {
		var all sql.NullString
		require.NoError(t, db.QueryRow(`SELECT string_agg(t::text, E'\n') FROM `+name+` t`).Scan(&all))
		to.add("table "+name, []byte(all.String))
	}
}
