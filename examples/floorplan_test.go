package examples_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/orgkit/orgkit"

// floors are the rooms of the house. Imports point down only; rooms of one floor do not know each
// other unless they are listed in beside.
var floors = map[string]int{
	"store":                    0,
	"store/memory":             1,
	"store/internal/bunstore":  1,
	"store/sqlite":             2,
	"store/postgres":           2,
	"store/storetest":          3,
	"audit":                    1,
	"rbac":                     2,
	"billing":                  3,
	"orgs":                     4,
	"orgs/gate":                5,
	"orgs/orgstest":            5,
	"orgs/httpapi":             5,
	"orgs/httpapi/rest":        6,
	"examples":                 8, // its tests
	"examples/internal/opendb": 7,
	"examples/quickstart":      8,
	"examples/gateway":         8,
}

// domains never import drivers, nor drivers domains, whatever their floors.
var drivers = []string{"store/memory", "store/internal/bunstore", "store/sqlite", "store/postgres", "store/storetest"}

// allowed is everything outside of the standard library that importing orgs may pull in.
var allowed = []string{
	"github.com/casbin/casbin/v2", "github.com/casbin/govaluate", "github.com/bmatcuk/doublestar", "github.com/shopspring/decimal",
	"github.com/google/uuid", // of casbin
	"github.com/google/uuid", // of casbin
}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []pkg {
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard,Module"}, args...)...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else {
			require.NoError(t, err)
		}
		pkgs = append(pkgs, p)
	}
}

// misplaced says what is wrong with the imports of the rooms.
func misplaced(pkgs []pkg) []string {
	var wrong []string
	for _, p := range pkgs {
		room, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		floor, known := floors[room]
		if !known {
			wrong = append(wrong, room+" is not on the floor plan")
			continue
		}
		for _, imp := range p.Imports {
			other, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			isDriver, toDriver := slices.Contains(drivers, room), slices.Contains(drivers, other)
			switch {
			case floors[other] >= floor:
				wrong = append(wrong, room+" imports "+other+", which is not below it")
			case toDriver && !isDriver && floor < 7:
				wrong = append(wrong, room+" imports the driver "+other)
			case isDriver && !toDriver && other != "store":
				wrong = append(wrong, "the driver "+room+" imports "+other)
			}
		}
	}
	return wrong
}

func TestFloorPlan(t *testing.T) {
	require.Empty(t, misplaced(list(t, "./...")))
}

func TestFloorPlanSeesAnUpwardImport(t *testing.T) {
	wrong := misplaced([]pkg{
		{ImportPath: module + "/rbac", Imports: []string{module + "/orgs"}},
		{ImportPath: module + "/audit", Imports: []string{module + "/store/sqlite"}},
		{ImportPath: module + "/util"},
	})
	require.Len(t, wrong, 3)
}

func TestFloorPlanOfWeight(t *testing.T) {
	for _, p := range list(t, "-deps", "./orgs", "./orgs/gate") {
		if p.Standard || strings.HasPrefix(p.ImportPath, module+"/") {
			continue
		}
		require.True(t, slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(p.ImportPath, a) }),
			"importing orgs pulls in %s", p.ImportPath)
	}
}

func TestFloorPlanOfTheTop(t *testing.T) {
	entries, err := os.ReadDir("..")
	require.NoError(t, err)
	top := []string{"orgs", "rbac", "billing", "audit", "scim", "store", "examples", "go.mod", "go.sum", "README.md",
		"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
	for _, e := range entries {
		require.True(t, strings.HasPrefix(e.Name(), ".") || slices.Contains(top, e.Name()), "%s stands at the top", e.Name())
	}
}
