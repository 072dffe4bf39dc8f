package sso_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFloorsOfModules: below these versions a signature can be gone round, or a message costs too much or ends the process
// (CVE-2026-33487, GHSA-qhrp-hfff-vphr, CVE-2020-29509 to -29511, CVE-2026-34986). The libraries that are used ask for less.
func TestFloorsOfModules(t *testing.T) {
	floors := map[string]string{
		"github.com/crewjam/saml":                       "v0.5.1",
		"github.com/russellhaering/goxmldsig":           "v1.6.1",
		"github.com/beevik/etree":                       "v1.8.1",
		"github.com/mattermost/xml-roundtrip-validator": "v0.1.0",
		"github.com/coreos/go-oidc/v3":                  "v3.21.0",
		"github.com/go-jose/go-jose/v4":                 "v4.1.4",
		"golang.org/x/oauth2":                           "v0.37.0",
		"golang.org/x/crypto":                           "v0.58.0",
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "all").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if floor, is := floors[name]; is {
			require.False(t, below(version, floor), "%s %s is below %s", name, version, floor)
			delete(floors, name)
		}
	}
	require.Empty(t, floors, "not in the build list")

	require.True(t, below("v1.4.0", "v1.6.1"))
	require.True(t, below("v1.6.0", "v1.6.1"))
	require.False(t, below("v1.10.0", "v1.6.1"))
	require.False(t, below("v1.6.1", "v1.6.1"))
}

// TestNoCheckIsSwitchedOff that the library for OpenID Connect makes by itself; but that of the time, which is made by ours.
func TestNoCheckIsSwitchedOff(t *testing.T) { // M11
	require.NoError(t, filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, off := range []string{"SkipIssuerCheck", "SkipClientIDCheck", "InsecureSkipSignatureCheck", "InsecureIssuerURLContext", "InsecureSkipVerify"} {
			require.NotContains(t, string(text), off, path)
		}
		return err
	}))
}

func below(version, floor string) bool {
	a, b := strings.Split(strings.TrimPrefix(version, "v"), "."), strings.Split(strings.TrimPrefix(floor, "v"), ".")
	for i := range b {
		x, errX := strconv.Atoi(a[i])
		y, errY := strconv.Atoi(b[i])
		if errX != nil || errY != nil {
			return true
		}
		if x != y {
			return x < y
		}
	}
	return false
}
