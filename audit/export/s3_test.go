package export_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/audit/export/exporttest"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// front is a proxy before an object store that notes what is asked of it.
type front struct {
	*httptest.Server
	mu    sync.Mutex
	puts  []*http.Request
	fault func(w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter)) // nil is none
}

func newFront(t testing.TB, s *exporttest.Store) *front {
	to, err := url.Parse(s.Endpoint)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		if r.Method == http.MethodPut {
			f.puts = append(f.puts, r.Clone(context.Background()))
		}
		fault := f.fault
		f.mu.Unlock()
		if fault == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		fault(w, r, func(w http.ResponseWriter) { proxy.ServeHTTP(w, r) })
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) faults(fn func(w http.ResponseWriter, r *http.Request, forward func(http.ResponseWriter))) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fn
}

func bucket(s *exporttest.Store, endpoint, name string) orgs.NewDestination {
	return orgs.NewDestination{Destination: audit.Destination{Type: audit.S3, Bucket: name, Prefix: "parrotrouter/", Encryption: "AES256", Endpoint: endpoint},
		Secrets: map[string]*seal.Secret{"access_key_id": secret(s.AccessKeyID), "secret_access_key": secret(s.SecretAccessKey)}}
}

// names are those of the objects, without those of probes.
func names(t testing.TB, dir string) (list []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".orgkit-probe") {
			return err
		}
		list = append(list, name)
		return nil
	}))
	return list
}

// verified reads a bucket as somebody without a database does, and returns the objects in order.
func verified(t testing.TB, dir, key string, kept ...audit.Checkpoint) (objects []audit.Manifest) {
	t.Helper()
	verifiers, err := audit.Verifiers(key)
	require.NoError(t, err)
	r := audit.NewReader(verifiers, kept...)
	next := int64(0)
	for _, name := range names(t, dir) { // they sort as the events do
		begin, is := strings.CutSuffix(name, ".jsonl.gz")
		if !is {
			continue
		}
		var m audit.Manifest
		text, err := os.ReadFile(filepath.Join(dir, begin+".proof.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &m))
		require.Equal(t, next, m.First, "no gap and no overlap")
		next = m.Size
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		require.NoError(t, r.Read(m, z))
		require.NoError(t, f.Close())
		objects = append(objects, m)
	}
	require.NotEmpty(t, objects)
	report := r.End()
	require.Equal(t, audit.Intact, report.Verdict, report.String())
	return objects
}

func (r *rig) checkpoint() audit.Checkpoint {
	r.t.Helper()
	c, err := r.Audit().Checkpoint(r.t.Context(), r.org.ID)
	require.NoError(r.t, err)
	return c
}

func TestABucketGetsEachEventOnce(t *testing.T) { // F285, F286, F287, F288
	store3 := exporttest.S3(t, "us-east-1")
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, &export.Options{Bytes: 6000})
		front := newFront(t, store3)
		name := strings.ReplaceAll(strings.ToLower(filepath.Base(filepath.Dir(t.TempDir()))), "_", "-")[:40]
		dir := store3.Bucket(t, "a"+strings.Trim(name, "-")+"z")
		r.write(52)
		d := r.configure(bucket(store3, front.URL, filepath.Base(dir))).Destinations[0]
		r.round()
		require.Equal(t, audit.Working, r.delivery(d.ID).Status, r.delivery(d.ID).Reason)
		begun := r.delivery(d.ID).Next
		require.Positive(t, begun, "what is much is written at once")
		require.Less(t, begun, r.size(), "and the rest of it waits")
		r.write(1)
		clock.Advance(54 * time.Second)
		r.round()
		require.Equal(t, begun, r.delivery(d.ID).Next)
		clock.Advance(2 * time.Second)
		r.round()
		require.Equal(t, r.size(), r.delivery(d.ID).Next, "what is little within a minute")
		objects := verified(t, dir, r.public, r.checkpoint())
		require.Greater(t, len(objects), 2)
		require.Equal(t, r.size(), objects[len(objects)-1].Size)
		for _, name := range names(t, dir) {
			require.Regexp(t, `^parrotrouter/2024/03/05/`+r.org.ID+`-\d{12}-\d{12}-[0-9a-f]{8}\.(jsonl\.gz|proof\.json)$`, name)
		}

		require.NotEmpty(t, front.puts)
		for _, put := range front.puts {
			require.Equal(t, "AES256", put.Header.Get("X-Amz-Server-Side-Encryption"), put.URL.Path)
			if !strings.HasSuffix(put.URL.Path, ".orgkit-probe") {
				require.Equal(t, "*", put.Header.Get("If-None-Match"))
			}
		}
		was := len(names(t, dir))
		clock.Advance(time.Hour)
		r.round()
		require.Len(t, names(t, dir), was, "where nothing happens nothing is written")
	})
}

// TestAnObjectIsWrittenOnceWhateverBreaks: the store fails, or has written it and cannot say so, at every call in turn.
func TestAnObjectIsWrittenOnceWhateverBreaks(t *testing.T) { // F285
	store3 := exporttest.S3(t, "us-east-1")
	for i, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			r := newRig(t, storetest.Open(t, name, store.Options{Now: clock.Now}), clock, &export.Options{Age: time.Nanosecond, Bytes: 3000})
			front := newFront(t, store3)
			dir := store3.Bucket(t, fmt.Sprint("breaks-", i))
			d := r.configure(bucket(store3, front.URL, filepath.Base(dir))).Destinations[0]
			r.round()
			n := 0
			front.faults(func(w http.ResponseWriter, req *http.Request, forward func(http.ResponseWriter)) {
				switch n++; n % 4 {
				case 0:
					w.WriteHeader(http.StatusInternalServerError)
				case 1:
					forward(httptest.NewRecorder())
					panic(http.ErrAbortHandler)
				case 2:
					panic(http.ErrAbortHandler)
				default:
					forward(w)
				}
			})
			for range 6 {
				r.write(10)
				for range 4 {
					clock.Advance(5 * time.Minute)
					r.round()
				}
			}
			front.faults(nil)
			for range 3 {
				clock.Advance(10 * time.Minute)
				r.round()
			}
			require.Equal(t, r.size(), r.delivery(d.ID).Next)
			objects := verified(t, dir, r.public, r.checkpoint())
			require.Equal(t, r.size(), objects[len(objects)-1].Size)
			require.Len(t, names(t, dir), 2*len(objects))
		})
	}
}

// TestAPersonThatIsErasedInBetween: the object is there, nobody knows, and its lines would be others now.
func TestAPersonThatIsErasedInBetween(t *testing.T) {
	store3 := exporttest.S3(t, "us-east-1")
	clock := storetest.NewClock()
	r := newRig(t, storetest.Open(t, "sqlite", store.Options{Now: clock.Now}), clock, &export.Options{Age: time.Nanosecond})
	front := newFront(t, store3)
	dir := store3.Bucket(t, "erased")
	user := r.User("ann@acme.example")
	r.Add(orgs.Place{OrgID: r.org.ID}, user, "member")
	d := r.configure(bucket(store3, front.URL, "erased")).Destinations[0]
	_, err := r.worker.RunDue(t.Context()) // the probe
	require.NoError(t, err)
	front.faults(func(w http.ResponseWriter, req *http.Request, forward func(http.ResponseWriter)) {
		forward(httptest.NewRecorder())
		panic(http.ErrAbortHandler)
	})
	clock.Advance(time.Second)
	r.round()
	require.Zero(t, r.delivery(d.ID).Next)
	front.faults(nil)
	require.Len(t, names(t, dir), 1)
	n, err := r.EraseFromAudit(r.Platform(), r.org.ID, user.ID)
	require.NoError(t, err)
	require.Positive(t, n)
	clock.Advance(time.Minute)
	r.round()
	r.round()
	require.Len(t, verified(t, dir, r.public, r.checkpoint()), 2)
}

func TestOrganizationsShareABucket(t *testing.T) {
	store3 := exporttest.S3(t, "us-east-1")
	r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), quick())
	dir := store3.Bucket(t, "shared")
	in := bucket(store3, store3.Endpoint, "shared")
	in.Prefix = "logs" // a folder, whether or not it ends with a slash
	r.configure(in)
	other, _ := r.Org("other")
	_, _, err := r.SetAuditConfig(r.Platform(), other.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{in}})
	require.NoError(t, err)
	r.round()
	require.Len(t, names(t, dir), 4)
	for _, name := range names(t, dir) {
		require.Regexp(t, `^logs/\d{4}/\d\d/\d\d/(`+r.org.ID+`|`+other.ID+`)-0{12}-`, name)
	}
}

func TestAnotherBucketGetsAllOfIt(t *testing.T) {
	store3 := exporttest.S3(t, "us-east-1")
	r := newRig(t, storetest.Open(t, "sqlite", store.Options{}), storetest.NewClock(), quick())
	first, second := store3.Bucket(t, "first"), store3.Bucket(t, "second")
	in := bucket(store3, store3.Endpoint, "first")
	in.ID = r.configure(in).Destinations[0].ID
	r.write(5)
	r.round()
	verified(t, first, r.public)
	in.Bucket = "second"
	r.configure(in)
	r.round()
	objects := verified(t, second, r.public, r.checkpoint())
	require.Equal(t, r.size(), objects[len(objects)-1].Size)
}

// TestWhatABucketSaysIsToldInOurWords: nothing of an answer is shown, and no key.
func TestWhatABucketSaysIsToldInOurWords(t *testing.T) { // F286, F460
	store3 := exporttest.S3(t, "us-east-1")
	r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), quick())
	store3.Bucket(t, "there")
	wrongKey, wrongSecret, none := bucket(store3, store3.Endpoint, "there"), bucket(store3, store3.Endpoint, "there"), bucket(store3, store3.Endpoint, "there")
	wrongKey.Secrets["access_key_id"] = secret("AKIACANARYTHATISNONE")
	wrongSecret.Secrets["secret_access_key"] = secret("canary-that-is-wrong")
	none.Secrets = nil
	path := bucket(store3, store3.Endpoint+"/x", "there")
	for want, in := range map[string]orgs.NewDestination{
		"there is no such bucket":        bucket(store3, store3.Endpoint, "nowhere"),
		"there is no such access key":    wrongKey,
		"the secret access key is wrong": wrongSecret,
		"it has no access_key_id and secret_access_key, and the host gives none": none,
		"its endpoint has more than a host":                                      path,
		"":                                                                       bucket(store3, store3.Endpoint, "there"),
	} {
		c := r.configure(in)
		reason := r.x.Probe(t.Context(), c.Config, c.Destinations[0])
		require.Equal(t, want, reason)
		_, err := r.worker.RunDue(t.Context()) // the job that the configuration has enqueued
		require.NoError(t, err)
		d := r.delivery(c.Destinations[0].ID)
		require.NotNil(t, d.CheckedAt)
		if want == "" {
			require.Equal(t, audit.Working, d.Status)
		} else {
			require.Equal(t, []string{string(audit.Failing), want}, []string{string(d.Status), d.Reason})
		}
		_, _, err = r.SetAuditConfig(r.Platform(), r.org.ID, orgs.NewAuditConfig{})
		require.NoError(t, err)
		_, _, err = r.SetAuditConfig(r.Platform(), r.org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{in}, Verify: true})
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestTheHostMayGiveTheKeysOfABucket(t *testing.T) {
	store3 := exporttest.S3(t, "us-east-1")
	store3.Bucket(t, "granted")
	o := &export.Options{Credentials: func(_ context.Context, _ string, d audit.Destination) (export.Credentials, error) {
		if d.Bucket != "granted" {
			return export.Credentials{}, errors.New("canary: not that one")
		}
		return export.Credentials{AccessKeyID: store3.AccessKeyID, SecretAccessKey: seal.NewSecret(store3.SecretAccessKey)}, nil
	}}
	r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), o)
	in := bucket(store3, store3.Endpoint, "granted")
	in.Secrets = nil
	c := r.configure(in)
	require.Empty(t, r.x.Probe(t.Context(), c.Config, c.Destinations[0]))
	in.Bucket = "another"
	c = r.configure(in)
	require.Equal(t, "it has no access_key_id and secret_access_key, and the host gives none", r.x.Probe(t.Context(), c.Config, c.Destinations[0]))
}

// TestABucketElsewhereIsNotWrittenTo, also where only its store knows where it lies.
func TestABucketElsewhereIsNotWrittenTo(t *testing.T) { // F294, F471
	store3 := exporttest.S3(t, "eu-west-1")
	dir := store3.Bucket(t, "europe")
	r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), quick())
	r.x.PretendAWS(store3.Endpoint)
	in := bucket(store3, "", "europe")
	set := func(region, residency string) (orgs.AuditSettings, []store.Warning, error) {
		in.Region = region
		return r.SetAuditConfig(r.Platform(), r.org.ID, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{in}, Compliance: audit.Compliance{DataResidency: residency}})
	}
	_, _, err := set("eu-west-1", "US")
	require.ErrorContains(t, err, "lies in EU and not in US")
	c, warnings, err := set("", "US")
	require.NoError(t, err)
	require.Equal(t, "region_unknown", warnings[0].Code)
	r.round()
	require.Equal(t, "the bucket lies in EU and not in US", r.delivery(c.Destinations[0].ID).Reason)
	require.Empty(t, names(t, dir))

	_, _, err = set("", "EU")
	require.NoError(t, err)
	_, _, err = r.RetryDestination(r.Platform(), r.org.ID, c.Destinations[0].ID)
	require.NoError(t, err)
	r.round()
	r.round()
	require.NotEmpty(t, names(t, dir))
}
