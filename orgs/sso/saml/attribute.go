package saml

import (
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/orgkit/orgkit/store"
)

// groupsLink is what Entra sends instead of more than 150 groups. The link is never called: it comes from outside, and
// leads to ids where names were mapped.
const groupsLink = "http://schemas.microsoft.com/claims/groups.link"

// attributes reads what the connection maps.
func (v *verification) attributes(el *etree.Element, id *Identity) (err error) {
	var all []*etree.Element
	for _, s := range children(el, nsAssertion, "AttributeStatement") {
		all = append(all, children(s, nsAssertion, "Attribute")...)
	}
	if id.Email, err = single(all, v.Attributes.Email); err != nil {
		return err
	}
	if id.Name, err = single(all, v.Attributes.Name); err != nil {
		return err
	}
	groups, err := values(all, v.Attributes.Groups)
	if err != nil {
		return err
	}
	id.Groups, id.GroupsKnown = v.split(groups)
	if len(named(all, groupsLink)) > 0 {
		id.GroupsKnown = false
	}
	return nil
}

// split returns groups, each once, in the order of the assertion, and whether these are all.
func (v *verification) split(groups []string) (out []string, whole bool) {
	seen := map[string]bool{}
	for _, g := range groups {
		parts := []string{g}
		if v.Attributes.GroupSeparator != "" {
			parts = strings.Split(g, v.Attributes.GroupSeparator)
		}
		for _, p := range parts {
			if p = strings.TrimSpace(p); p == "" || seen[p] {
				continue
			}
			if len(out) == MaxGroups || store.PlainText(p, maxText) != p {
				return out, false
			}
			seen[p] = true
			out = append(out, p)
		}
	}
	return out, true
}

// named are the attributes of this name; by their friendly names where no name is this.
func named(all []*etree.Element, name string) []*etree.Element {
	if name == "" {
		return nil
	}
	for _, key := range []string{"Name", "FriendlyName"} {
		found := slices.DeleteFunc(slices.Clone(all), func(a *etree.Element) bool { return attribute(a, key) != name })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// values are those of all attributes of this name, without the empty ones.
func values(all []*etree.Element, name string) (out []string, err error) {
	for _, a := range named(all, name) {
		for _, v := range children(a, nsAssertion, "AttributeValue") {
			s, ok := text(v)
			if !ok {
				return nil, refuse("attribute", "an attribute that is mapped holds more than text")
			}
			if s != "" {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// single is the one value of an attribute, "" for none.
func single(all []*etree.Element, name string) (string, error) {
	found, err := values(all, name)
	if err != nil {
		return "", err
	}
	if found = slices.Compact(found); len(found) == 0 {
		return "", nil
	}
	if len(found) > 1 || store.PlainText(found[0], maxText) != found[0] {
		return "", refuse("attribute", "an attribute that is mapped has several values, or one that is long or not plain text")
	}
	return found[0], nil
}
