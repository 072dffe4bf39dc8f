package main

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemoPrintsAnIdentityProvider that can be used as it is printed, again after the gateway was started anew.
func TestDemoPrintsAnIdentityProvider(t *testing.T) {
	db := "sqlite:" + filepath.Join(t.TempDir(), "demo.db")
	for _, name := range []string{"anna", "bob"} {
		path, err := build()
		require.NoError(t, err)
		p := exec.Command(path, "-addr", "127.0.0.1:0", "-db", db, "-admin-key", key, "-demo")
		out, err := p.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, p.Start())
		lines := bufio.NewReader(out)
		listening, err := lines.ReadString('\n')
		require.NoError(t, err)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		printed := regexp.MustCompile(`^scim: (\S+) token: (\S+)\n$`).FindStringSubmatch(line)
		require.Len(t, printed, 3)
		require.Equal(t, strings.TrimSpace(strings.TrimPrefix(listening, "listening on "))+"/scim/v2", printed[1])
		r, err := http.NewRequest("POST", printed[1]+"/Users", strings.NewReader(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+name+`@demo.example"}`))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+printed[2])
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, 201, res.StatusCode, string(body))
		require.Equal(t, "application/scim+json", res.Header.Get("Content-Type"))
		require.True(t, strings.HasPrefix(res.Header.Get("Location"), printed[1]+"/Users/scu_"))
		require.NoError(t, p.Process.Kill())
		_ = p.Wait()
	}
}
