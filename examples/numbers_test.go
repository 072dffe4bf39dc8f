package examples_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// carried are the numbers that tests carry, in files and below directories: a letter, if there is one, and a number. Of each line
// numbered picks the texts in which numbers stand.
func carried(t *testing.T, numbered func(line string) []string, number *regexp.Regexp, paths ...string) map[string]bool {
	all := map[string]bool{}
	for _, path := range paths {
		require.NoError(t, filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := os.ReadFile(path)
			for line := range strings.Lines(string(file)) {
				for _, text := range numbered(line) {
					for _, n := range number.FindAllStringSubmatch(text, -1) {
						from, _ := strconv.Atoi(n[2])
						to, err := strconv.Atoi(n[3])
						if err != nil {
							to = from
						}
						for ; from <= to; from++ {
							all[fmt.Sprint(n[1], from)] = true
						}
					}
				}
			}
			return err
		}))
	}
	return all
}

// TestEveryRuleOfSCIMHasATest: there are so many rules for what a service does, and so many decisions (D) and complaints of users
// (P) beside them. A test says which it is of in a comment, or in a row of a table.
func TestEveryRuleOfSCIMHasATest(t *testing.T) {
	elsewhere := map[string]string{"P25": "nobody is a seat: no number of members costs anything or is bounded"}
	said := regexp.MustCompile(`// .*|^\s*\{"[\d, D]+", ` + "`")
	list := regexp.MustCompile(`(?:rules? |\{")((?:[DP]?\d+|, | to )+)|\b([DP]\d+(?: to [DP]\d+)?)\b`)
	are := carried(t, func(line string) (texts []string) {
		for _, m := range list.FindAllStringSubmatch(said.FindString(line), -1) {
			texts = append(texts, m[1]+m[2])
		}
		return texts
	}, regexp.MustCompile(`([DP]?)(\d+)(?: to [DP]?(\d+))?`), "../scim")
	for letter, n := range map[string]int{"": 142, "D": 22, "P": 30} {
		for ; n > 0; n-- {
			id := fmt.Sprint(letter, n)
			require.True(t, are[id] != (elsewhere[id] != ""), "rule %s", id)
		}
	}
}

// TestEveryAttackOnSignInHasATest: there are so many classes of attacks (A), and so much that the libraries for SAML (L) and OpenID
// Connect (M) leave to those who use them. A test says which it is of in a comment, or in the name of a row.
func TestEveryAttackOnSignInHasATest(t *testing.T) {
	said := regexp.MustCompile(`// .*|\{"[^"]*\((?:[AL]\d+)\)"`)
	are := carried(t, func(line string) []string { return []string{said.FindString(line)} }, regexp.MustCompile(`\b([ALM])(\d+)(?:(?: to |-)[ALM](\d+))?\b`),
		"../orgs/sso", "../orgs/sso_test.go", "../orgs/signin/sso_test.go", "../orgs/httpapi/rest/sso_test.go")
	for letter, n := range map[string]int{"A": 30, "L": 21, "M": 12} {
		for ; n > 0; n-- {
			require.True(t, are[fmt.Sprint(letter, n)], "%s%d", letter, n)
		}
	}
}

// TestFeaturesOfSignInAndProvisioningAreSeenOverHTTP: each has a test of an edge that says so in a comment.
func TestFeaturesOfSignInAndProvisioningAreSeenOverHTTP(t *testing.T) {
	are := carried(t, func(line string) []string {
		_, comment, _ := strings.Cut(line, "// ")
		return []string{comment}
	}, regexp.MustCompile(`\b(F)(\d{3})(?: to F(\d{3}))?\b`), "../scim", "../orgs/sso", "../orgs/httpapi", "gateway")
	wanted := []int{323, 332, 333, 336, 462}
	for n := 174; n <= 204; n++ {
		wanted = append(wanted, n)
	}
	for _, n := range wanted {
		require.True(t, are[fmt.Sprint("F", n)], "F%d", n)
	}
}
