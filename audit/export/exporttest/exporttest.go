// Package exporttest runs what audit logs are delivered to, for tests: an object store that speaks S3.
package exporttest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Version is that of versitygw, the object store.
const Version = "v1.8.0"

// Store is an object store on a directory.
type Store struct {
	Endpoint                     string // http://127.0.0.1:PORT
	AccessKeyID, SecretAccessKey string

	dir string
}

// The keys of every Store.
const (
	accessKey = "AKIACANARYOFTHETEST"
	secretKey = "canary-secret-of-the-store"
)

// S3 starts an object store that ends with the test and lies in that region. The program is that of
// ORGKIT_VERSITYGW, or is installed once into the cache of the user, which takes minutes. Where it cannot be the test is
// skipped, or, with ORGKIT_REQUIRE_S3 set, fails.
func S3(t testing.TB, region string) *Store {
	t.Helper()
	path, err := program()
	if err != nil {
		text := fmt.Sprintf("no object store: %v; set ORGKIT_VERSITYGW to a versitygw %s", err, Version)
		if os.Getenv("ORGKIT_REQUIRE_S3") != "" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	port, err := freePort()
	require.NoError(t, err)
	s := &Store{Endpoint: "http://127.0.0.1:" + port, AccessKeyID: accessKey, SecretAccessKey: secretKey, dir: t.TempDir()}
	cmd := exec.Command("/bin/sh", "-c", watch, "sh", path, "--port", "127.0.0.1:"+port, "--health", "/health", "--region", region, "--quiet", "posix", s.dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	end, err := cmd.StdinPipe() // closed by the kernel when this process ends
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = end.Close()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		res, err := http.Get(s.Endpoint + "/health")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil && res.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "the object store does not start")
	return s
}

// watch runs the store until standard input ends.
const watch = `"$@" >/dev/null 2>&1 &
cat >/dev/null
kill -KILL $! 2>/dev/null
wait $!`

// Bucket makes a bucket and returns the directory in which its objects are files.
func (s *Store) Bucket(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(s.dir, name)
	require.NoError(t, os.Mkdir(dir, 0o700))
	return dir
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// program finds or installs the object store.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ORGKIT_VERSITYGW"); path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "orgkit", "versitygw-"+Version)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(dir, "lock")) // tests of other packages may install it too
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@"+Version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install: %w: %s", err, out)
	}
	return path, nil
})
