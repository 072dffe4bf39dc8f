package examples_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/orgkit/orgkit"

// room is a package of the house. Imports point down only; rooms of one floor do not know each
// other.
type room struct {
	floor int
	uses  []string // the modules that it imports by itself, tests aside
}

const (
	casbin  = "github.com/casbin/casbin/v2"
	decimal = "github.com/shopspring/decimal"
	bun     = "github.com/uptrace/bun"
	sqlite  = "modernc.org/sqlite"
	pgx     = "github.com/jackc/pgx/v5"
	btree   = "github.com/tidwall/btree"
	cron    = "github.com/robfig/cron/v3"
	gjson   = "github.com/tidwall/gjson"
	huma    = "github.com/danielgtaylor/huma/v2"
	testify = "github.com/stretchr/testify"
	xmod    = "golang.org/x/mod"
	gomail  = "github.com/wneessen/go-mail"
	xtext   = "golang.org/x/text"
	minio   = "github.com/minio/minio-go/v7"
	crypto  = "golang.org/x/crypto" // hashes of passwords
	otp     = "github.com/pquerna/otp"
	goOIDC  = "github.com/coreos/go-oidc/v3"
	jose    = "github.com/go-jose/go-jose/v4"
	oauth2  = "golang.org/x/oauth2"
	otel    = "go.opentelemetry.io/otel"

	saml      = "github.com/crewjam/saml"             // messages and metadata
	xmldsig   = "github.com/russellhaering/goxmldsig" // signatures
	etree     = "github.com/beevik/etree"
	roundtrip = "github.com/mattermost/xml-roundtrip-validator"
)

// rooms are all of them: a package that is missing here fails the test.
var rooms = map[string]room{
	"store":                       {0, []string{otel}},
	"store/jobs/outbound":         {0, nil},
	"store/seal":                  {0, nil},
	"store/memory":                {1, []string{btree}},
	"store/internal/bunstore":     {1, []string{bun}},
	"store/sqlite":                {2, []string{bun, sqlite}},
	"store/postgres":              {2, []string{bun, pgx}},
	"store/jobs":                  {1, []string{cron, otel}},
	"store/storetest":             {3, []string{decimal, pgx, testify}},
	"audit":                       {1, []string{xmod}},
	"audit/export":                {2, []string{minio}},
	"audit/export/exporttest":     {2, []string{testify}},
	"rbac":                        {2, []string{casbin, decimal, otel}},
	"billing":                     {3, []string{decimal, otel}},
	"orgs":                        {4, []string{decimal}},
	"scim/schema":                 {0, []string{xtext}},
	"scim/filter":                 {1, nil},
	"scim/filter/filtertest":      {1, nil},
	"scim/patch":                  {2, nil},
	"scim":                        {6, nil},
	"orgs/gate":                   {5, []string{decimal, otel}},
	"orgs/gate/proxy":             {6, []string{gjson}},
	"orgs/orgstest":               {5, []string{testify}},
	"orgs/notify":                 {5, []string{decimal, gomail}},
	"orgs/signin":                 {5, []string{crypto}},
	"orgs/httpapi":                {5, nil},
	"orgs/httpapi/rest":           {6, []string{decimal, huma}},
	"orgs/httpapi/litellm":        {6, []string{decimal}},
	"orgs/httpapi/sessions":       {6, nil},
	"orgs/sso":                    {6, nil},
	"orgs/sso/oidc":               {6, []string{goOIDC, jose, oauth2}},
	"orgs/httpapi/locktera":       {6, nil},
	"orgs/httpapi/opengatellm":    {6, []string{decimal}},
	"orgs/httpapi/pages":          {6, nil},
	"orgs/sso/saml":               {6, []string{saml, xmldsig, etree, roundtrip}},
	"examples":                    {8, nil}, // its tests
	"examples/internal/opendb":    {7, nil},
	"examples/auditverify":        {8, []string{xmod}},
	"examples/quickstart":         {8, []string{decimal}},
	"examples/internal/fakemodel": {7, nil},
	"examples/gateway":            {8, []string{decimal, xmod}},
	"examples/client":             {7, nil},
	"examples/client/generate":    {8, nil},
}

// top is the floor of the hosts, the only one where drivers and domains meet.
const top = 7

// drivers are what each of the rooms that keep records may import of ours. No domain imports one,
// whatever the floors.
var drivers = map[string][]string{
	"store/memory":            {"store"},
	"store/internal/bunstore": {"store"},
	"store/sqlite":            {"store", "store/internal/bunstore"},
	"store/postgres":          {"store", "store/internal/bunstore"},
	"store/storetest":         {"store", "store/memory", "store/sqlite", "store/postgres"},
}

// light is every module that importing orgs or orgs/gate may pull in: no bun, no SQL driver, no web
// framework, no PDF, no XML.
var light = []string{
	casbin, "github.com/casbin/govaluate", "github.com/bmatcuk/doublestar/v4", "github.com/google/uuid", // the latter three by casbin
	decimal,
	"golang.org/x/mod",             // the tamper-evident log
	cron,                           // schedules
	otel,                           // its API
	"github.com/cespare/xxhash/v2", // by it
}

// heavy are packages of the standard library that a host which only embeds orgs need not link.
var heavy = []string{"database/sql", "encoding/xml", "html/template", "net/http", "net/smtp", "testing"}

// entries are what stands at the top of the repository, besides files whose names begin with a dot.
var entries = []string{"orgs", "rbac", "billing", "audit", "scim", "store", "examples",
	"go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// list returns the module's packages and all that they import.
func list(t *testing.T) []pkg {
	// The cache of test results does not see what another process reads: so this one looks at every
	// directory too.
	require.NoError(t, filepath.WalkDir("..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	}))
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard", "./...")
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

// ours returns the room of a package of this module.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// within says whether a package belongs to one of the modules.
func within(importPath string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return importPath == m || strings.HasPrefix(importPath, m+"/") })
}

// misplaced says what is wrong with the imports of the rooms.
func misplaced(pkgs []pkg) (wrong []string) {
	standard := map[string]bool{}
	for _, p := range pkgs {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range pkgs {
		name, is := ours(p.ImportPath)
		if !is {
			continue
		}
		here, known := rooms[name]
		if !known {
			wrong = append(wrong, name+" is not on the floor plan")
			continue
		}
		for _, imp := range p.Imports {
			other, is := ours(imp)
			switch {
			case is:
				if fault := between(name, other); fault != "" {
					wrong = append(wrong, fault)
				}
			case !standard[imp] && !within(imp, here.uses):
				wrong = append(wrong, name+" imports "+imp+", which is not listed for it")
			}
		}
	}
	return wrong
}

// between says what is wrong with one room's import of another.
func between(name, other string) string {
	below, isDriver := drivers[name]
	_, toDriver := drivers[other]
	switch {
	case isDriver && !slices.Contains(below, other):
		return "the driver " + name + " imports " + other
	case toDriver && !isDriver && rooms[name].floor < top:
		return name + " imports the driver " + other
	case rooms[other].floor >= rooms[name].floor:
		return name + " imports " + other + ", which is not below it"
	}
	return ""
}

// weight says what importing a room pulls in that it must not.
func weight(pkgs []pkg, root string) (wrong []string) {
	graph := map[string]pkg{}
	for _, p := range pkgs {
		graph[p.ImportPath] = p
	}
	seen := map[string]bool{}
	var visit func(importPath, by string)
	visit = func(importPath, by string) {
		p := graph[importPath]
		_, is := ours(importPath)
		switch {
		case seen[importPath]:
			return
		case p.Standard && !slices.Contains(heavy, importPath):
			return // what the standard library itself is made of is its own matter
		case !is && !within(importPath, light):
			wrong = append(wrong, root+" pulls in "+importPath+", by "+by)
		}
		seen[importPath] = true
		for _, imp := range p.Imports {
			visit(imp, importPath)
		}
	}
	visit(module+"/"+root, "")
	return wrong
}

// strangers are names that do not belong at the top of the repository and are not ignored by git.
func strangers(names, ignored []string) (wrong []string) {
	for _, name := range names {
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
		if !strings.HasPrefix(name, ".") && !slices.Contains(entries, name) && !slices.ContainsFunc(ignored, matches) {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

func TestFloorPlan(t *testing.T) {
	pkgs := list(t)
	require.Empty(t, misplaced(pkgs))
	for _, root := range []string{"orgs", "orgs/gate"} {
		require.Empty(t, weight(pkgs, root))
	}
}

// pulled are the packages of these modules and rooms that importing a room pulls in.
func pulled(pkgs []pkg, root string, of ...string) (found []string) {
	graph, seen := map[string]pkg{}, map[string]bool{}
	for _, p := range pkgs {
		graph[p.ImportPath] = p
	}
	var visit func(importPath string)
	visit = func(importPath string) {
		if seen[importPath] {
			return
		}
		if seen[importPath] = true; within(importPath, of) {
			found = append(found, importPath)
		}
		for _, imp := range graph[importPath].Imports {
			visit(imp)
		}
	}
	visit(module + "/" + root)
	return found
}

// TestFloorPlanOfAHostWithItsOwnSignIn: what it mounts links no passwords and no second factors.
func TestFloorPlanOfAHostWithItsOwnSignIn(t *testing.T) {
	pkgs, of := list(t), []string{module + "/orgs/signin", module + "/orgs/httpapi/sessions", crypto + "/argon2", crypto + "/bcrypt", otp}
	for _, root := range []string{"orgs", "orgs/gate", "orgs/notify", "orgs/httpapi", "orgs/httpapi/rest"} {
		require.Empty(t, pulled(pkgs, root, of...), root)
	}
	require.Contains(t, pulled(pkgs, "orgs/httpapi/sessions", of...), crypto+"/argon2")
	require.Empty(t, pulled(pkgs, "orgs/httpapi/sessions", otp), "nor does who signs people in link what codes are tested against")
}

// TestFloorPlanOfProtocols: who serves browsers links no protocol that the host does not offer.
func TestFloorPlanOfProtocols(t *testing.T) {
	pkgs := list(t)
	for _, dir := range []string{"orgs/sso", "orgs/signin", "scim", "orgs/httpapi/rest"} {
		require.Empty(t, pulled(pkgs, dir, goOIDC, jose, oauth2, saml, xmldsig), "%s", dir)
	}
}

// TestFloorPlanOfIdentityProviders: what tests sign in by is in nobody's build.
func TestFloorPlanOfIdentityProviders(t *testing.T) {
	for _, p := range list(t) {
		_, is := ours(p.ImportPath)
		for _, imp := range p.Imports {
			require.False(t, is && within(imp, []string{saml + "/samlidp", saml + "/samlsp"}), "%s imports %s", p.ImportPath, imp)
		}
	}
}

func TestFloorPlanOfTheTop(t *testing.T) {
	files, err := os.ReadDir("..")
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	ignored, err := os.ReadFile("../.gitignore")
	require.NoError(t, err)
	require.Empty(t, strangers(names, strings.Fields(string(ignored))))
}

func TestFloorPlanSeesWhatIsMisplaced(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"rbac", module + "/orgs", "rbac imports orgs, which is not below it"},
		{"orgs/gate", module + "/orgs/httpapi", "orgs/gate imports orgs/httpapi, which is not below it"},
		{"audit", module + "/store/sqlite", "audit imports the driver store/sqlite"},
		{"orgs", module + "/store/memory", "orgs imports the driver store/memory"},
		{"store/sqlite", module + "/store/memory", "the driver store/sqlite imports store/memory"},
		{"store/sqlite", module + "/store/postgres", "the driver store/sqlite imports store/postgres"},
		{"store/memory", module + "/audit", "the driver store/memory imports audit"},
		{"store", decimal, "store imports " + decimal + ", which is not listed for it"},
		{"orgs", casbin + "/model", "orgs imports " + casbin + "/model, which is not listed for it"},
		{"rbac", casbin + "x", "rbac imports " + casbin + "x, which is not listed for it"},
	} {
		require.Equal(t, []string{c.want}, misplaced([]pkg{{ImportPath: module + "/" + c.from, Imports: []string{c.to}}}))
	}
	for _, right := range []struct{ from, to string }{
		{"orgs", module + "/rbac"}, {"store/sqlite", module + "/store/internal/bunstore"}, {"examples/quickstart", module + "/store/memory"},
		{"rbac", casbin + "/model"}, {"store", "errors"},
	} {
		require.Empty(t, misplaced([]pkg{{ImportPath: module + "/" + right.from, Imports: []string{right.to}}, {ImportPath: "errors", Standard: true}}))
	}
	require.Equal(t, []string{"util is not on the floor plan"}, misplaced([]pkg{{ImportPath: module + "/util"}}))
	require.Equal(t, []string{". is not on the floor plan"}, misplaced([]pkg{{ImportPath: module}}))
}

func TestFloorPlanSeesWeightFarBelow(t *testing.T) {
	graph := []pkg{
		{ImportPath: module + "/orgs/gate", Imports: []string{module + "/orgs", "net/netip"}},
		{ImportPath: module + "/orgs", Imports: []string{casbin}},
		{ImportPath: casbin, Imports: []string{bun + "/schema", "net/http"}},
		{ImportPath: bun + "/schema"},
		{ImportPath: "net/http", Standard: true, Imports: []string{"html/template"}},
		{ImportPath: "html/template", Standard: true},
		{ImportPath: "net/netip", Standard: true},
	}
	require.Equal(t, []string{
		"orgs/gate pulls in " + bun + "/schema, by " + casbin,
		"orgs/gate pulls in net/http, by " + casbin,
		"orgs/gate pulls in html/template, by net/http",
	}, weight(graph, "orgs/gate"))
}

func TestFloorPlanSeesStrangersAtTheTop(t *testing.T) {
	names := []string{".ci", "orgs", "scim", "go.mod", "orgkit.db", "pkg", "root.go", "internal"}
	require.Equal(t, []string{"pkg", "root.go", "internal"}, strangers(names, []string{"*.db"}))
}
