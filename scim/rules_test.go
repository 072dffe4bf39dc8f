package scim_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
)

// rules is how many numbered rules there are for what a SCIM service does.
const rules = 142

// untested are those that no test here carries the number of, and why.
var untested = map[int]string{
	131: "access logs are the host's; the library writes none, and .search keeps names out of URLs",
	134: "security event tokens are optional, and not sent",
}

// TestEveryRuleHasATest that carries its number, in a comment as this one: rules 1 and 2.
func TestEveryRuleHasATest(t *testing.T) {
	carried := map[int]bool{}
	mention := regexp.MustCompile(`// rules? ([\d, to]+)|^\s*\{"([\d, D]+)", ` + "`")
	number := regexp.MustCompile(`(\d+)(?: to (\d+))?`)
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			for _, m := range mention.FindAllStringSubmatch(line, -1) {
				for _, n := range number.FindAllStringSubmatch(m[1]+m[2], -1) {
					from, _ := strconv.Atoi(n[1])
					to, err := strconv.Atoi(n[2])
					if err != nil {
						to = from
					}
					for ; from <= to; from++ {
						carried[from] = true
					}
				}
			}
		}
		return nil
	}))
	for n := 1; n <= rules; n++ {
		require.NotEqual(t, untested[n] != "", carried[n], "rule %d", n)
	}
}

// TestEveryChangeLeavesOneEvent by the token that made it; what is refused or changes nothing leaves none.
func TestEveryChangeLeavesOneEvent(t *testing.T) { // rule 130
	each(t, func(t *testing.T, p *provider) {
		anna, gone := p.user("anna"), p.user("gone")
		g, old := p.group("Staff"), p.group("Old", anna)
		page, err := p.SCIMTokens(p.As(p.owner), p.org.ID, 1, "")
		require.NoError(t, err)
		events := func() []audit.Event { return p.events("user.*", "scim.*", "team.*", "member.*", "security.*") }
		for _, c := range []struct{ method, path, body, want string }{
			{"POST", "/Users", `{` + userSchema + `,"userName":"new@acme.example"}`, "user.provisioned scim.users.create"},
			{"PUT", "/Users/" + anna, `{` + userSchema + `,"userName":"anna@acme.example","title":"x"}`, "user.updated scim.users.replace"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"title"}]}`, "user.updated scim.users.patch"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"replace","path":"active","value":false}]}`, "user.deprovisioned scim.users.patch"},
			{"PATCH", "/Users/" + anna, `{` + patchSchema + `,"Operations":[{"op":"replace","path":"active","value":true}]}`, "user.reprovisioned scim.users.patch"},
			{"DELETE", "/Users/" + gone, "", "user.deprovisioned scim.users.delete"},
			{"POST", "/Groups", `{` + groupSchema + `,"displayName":"New","members":[{"value":"` + anna + `"}]}`, "scim.group_created scim.groups.create"},
			{"PUT", "/Groups/" + g, `{` + groupSchema + `,"displayName":"Staff","members":[{"value":"` + anna + `"}]}`, "scim.group_updated scim.groups.replace"},
			{"PATCH", "/Groups/" + g, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"members"}]}`, "scim.group_updated scim.groups.patch"},
			{"DELETE", "/Groups/" + old, "", "scim.group_deleted scim.groups.delete"},
			{"PATCH", "/Groups/" + g, `{` + patchSchema + `,"Operations":[{"op":"remove","path":"members"}]}`, ""},
			{"POST", "/Users", `{` + userSchema + `,"userName":"new@acme.example"}`, ""},
			{"DELETE", "/Groups/" + old, "", ""},
		} {
			before := len(events())
			p.do(c.method, c.path, c.body)
			after := events()
			if c.want == "" {
				require.Len(t, after, before, "%s %s", c.method, c.path)
				continue
			}
			require.Len(t, after, before+1, "%s %s", c.method, c.path)
			e := after[0]
			require.True(t, export.Maps(e.Type), "%s has its place in the formats of sinks", e.Type)
			require.Equal(t, c.want, e.Type+" "+e.Action)
			require.Equal(t, []any{audit.SCIM, page.Items[0].ID, audit.Success}, []any{e.ActorType, e.ActorID, e.Outcome})
		}
	})
}

func TestValueIsThereOnce(t *testing.T) { // rule 45
	p, _ := here(t, nil)
	a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","roles":[{"value":"a","type":"x"},{"type":"x","value":"a"},{"value":"a","type":"y"}]}`)
	require.Len(t, a.json["roles"], 2)
}
