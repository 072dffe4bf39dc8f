package rbac_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/rbac"
)

func permission(t require.TestingT, s string) rbac.Permission {
	p, err := rbac.ParsePermission(s)
	require.NoError(t, err, s)
	return p
}

func TestPatternsCover(t *testing.T) {
	for _, c := range []struct {
		pattern, action string
		want            bool
	}{
		{"*", "billing.read", true},
		{"billing.*", "billing.read", true},
		{"billing.*", "billing.invoices.read", true},
		{"billing.*", "billing", false},
		{"billing.*", "billings.read", false},
		{"*.read", "billing.read", true},
		{"*.read", "billing.delete", false},
		{"*.read", "billing.invoices.read", false},
		{"usage.read", "usageXread", false},
		{"models:use", "models.use", true},
		{"models:list", "models.read", true}, // F326
		{"usage.read:own", "usage.read", true},
		{"*.read:own", "usage.read", true},
	} {
		require.Equal(t, c.want, permission(t, c.pattern).Covers(c.action), "%s against %s", c.pattern, c.action)
	}
}

func TestMalformedPermissionsAreRefused(t *testing.T) {
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "bill*", "*s.read", "**", "A.read", "a b", "a.read:all:own:own.", ":own", "a.{b}", strings.Repeat("a.", 200) + "b"} {
		_, err := rbac.ParsePermission(s)
		require.ErrorIs(t, err, rbac.ErrPattern, "%q", s)
	}
}

func TestBareVerbJoinsTheResource(t *testing.T) { // F326
	for _, c := range [][3]string{
		{"use", "model:gpt-4", "models.use"}, {"models:use", "model:x", "models.use"}, {"list", "team:a", "teams.read"},
		{"read", "policy:x", "policies.read"}, {"use", "api_key:k", "api_keys.use"}, {"read", "usage:x", "usage.read"},
		{"read", "billing:x", "billing.read"},
	} {
		got, err := rbac.JoinAction(c[0], c[1])
		require.NoError(t, err)
		require.Equal(t, c[2], got)
	}
	for _, c := range [][2]string{{"use", "nocolon"}, {"*", "model:x"}, {"models.*", "model:x"}, {"usage.read:own", "usage:x"}, {"", "model:x"}} {
		_, err := rbac.JoinAction(c[0], c[1])
		require.Error(t, err, c)
	}
}

var segments = rapid.SampledFrom([]string{"*", "a", "b", "read"})

func patterns(t *rapid.T, label string) rbac.Permission {
	s := strings.Join(rapid.SliceOfN(segments, 1, 3).Draw(t, label), ".")
	if rapid.Bool().Draw(t, label+" own") {
		s += ":own"
	}
	return permission(t, s)
}

// actions are all concrete actions of up to four segments.
func actions() (all []string) {
	level := []string{""}
	for range 4 {
		var next []string
		for _, head := range level {
			for _, seg := range []string{"a", "b", "read", "z"} {
				next = append(next, strings.TrimPrefix(head+"."+seg, "."))
			}
		}
		all = append(all, next...)
		level = next
	}
	return all
}

func TestContainsAndOverlapsAgreeWithEnumeration(t *testing.T) {
	every := actions()
	rapid.Check(t, func(t *rapid.T) {
		p, q := patterns(t, "p"), patterns(t, "q")
		subset, common := true, false
		for _, a := range every {
			subset = subset && (!q.Covers(a) || p.Covers(a))
			common = common || p.Covers(a) && q.Covers(a)
		}
		require.Equal(t, common, p.Overlaps(q), "%v overlaps %v", p, q)
		if p.Contains(q) { // sound: it never claims too much
			require.True(t, subset && (!p.Own() || q.Own()), "%v contains %v", p, q)
		}
		require.True(t, p.Contains(p))
		require.Equal(t, p, permission(t, p.String()))
	})
}

func FuzzParsePermission(f *testing.F) {
	for _, s := range []string{"*", "billing.*", "usage:read:own", "models:list", "a.*.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := rbac.ParsePermission(s)
		if err != nil {
			return
		}
		again, err := rbac.ParsePermission(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func TestResourceGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, resource string
		want           bool
	}{
		{"model:*", "model:org/claude-3", true}, // C4
		{"model:claude-3-*", "model:claude-3-opus", true},
		{"model:claude-3-*", "model:anthropic/claude-3-opus", false},
		{"*", "", true},
		{"model:gpt-4", "model:gpt-4-32k", false},
		{"model:[a]?", "model:[a]?", true},
		{"model:[a]", "model:a", false},
		{"Model:x", "model:x", false},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
	} {
		p, err := rbac.ParseResource(c.glob)
		require.NoError(t, err)
		require.Equal(t, c.want, p.Match(c.resource), "%s against %s", c.glob, c.resource)
	}
	_, err := rbac.ParseResource("")
	require.ErrorIs(t, err, rbac.ErrPattern)
}

// naive matches by trying every split.
func naive(glob, s string) bool {
	if glob == "" {
		return s == ""
	}
	if glob[0] == '*' {
		for i := 0; i <= len(s); i++ {
			if naive(glob[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	return s != "" && glob[0] == s[0] && naive(glob[1:], s[1:])
}

func TestGlobAgreesWithNaiveMatcher(t *testing.T) {
	glob := rapid.StringMatching(`[ab*]{1,8}`)
	text := rapid.StringMatching(`[ab]{0,10}`)
	rapid.Check(t, func(t *rapid.T) {
		g, s := glob.Draw(t, "glob"), text.Draw(t, "text")
		p, err := rbac.ParseResource(g)
		require.NoError(t, err)
		require.Equal(t, naive(g, s), p.Match(s), "%q against %q", g, s)
	})
}

func TestHostileGlobIsCheap(t *testing.T) {
	p, err := rbac.ParseResource(strings.Repeat("*a", 200) + "b")
	require.NoError(t, err)
	require.False(t, p.Match(strings.Repeat("a", 100_000)))
}

func TestAmountsAreReadFromTheirDigits(t *testing.T) { // F467
	for in, want := range map[string]string{"5000.00": "5000", `"0.01"`: "0.01", "10.00": "10", "0": "0", "0.000000000001": "0.000000000001",
		"123456789012345678.123456789012": "123456789012345678.123456789012"} {
		d, err := rbac.ParseAmountJSON([]byte(in))
		require.NoError(t, err, in)
		require.Equal(t, want, d.String())
	}
	for _, in := range []string{"-1", "-0", "NaN", "Infinity", "1e5", "1e1000000000", `"1e9"`, "+1", "01", "1.", ".5", "0.0000000000001",
		"1234567890123456789", `""`, `" 1"`, "null", "true", "[]", "0x10", "1_000"} {
		_, err := rbac.ParseAmountJSON([]byte(in))
		require.ErrorIs(t, err, rbac.ErrAmount, in)
		require.NotContains(t, err.Error(), "1e1000000000")
	}
}
