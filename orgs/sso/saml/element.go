package saml

import (
	"strings"
	"time"

	"github.com/beevik/etree"
)

// children are the elements of this name right below el.
func children(el *etree.Element, space, tag string) (found []*etree.Element) {
	for _, c := range el.ChildElements() {
		if c.Tag == tag && c.NamespaceURI() == space {
			found = append(found, c)
		}
	}
	return found
}

// child is the one element of this name right below el; nil where there is none, or more than one.
func child(el *etree.Element, space, tag string) *etree.Element {
	if found := children(el, space, tag); len(found) == 1 {
		return found[0]
	}
	return nil
}

// attribute is the value of the attribute that has this name and no namespace.
func attribute(el *etree.Element, name string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// text is all text of an element, without white space around it; false where there are elements in it.
func text(el *etree.Element) (string, bool) {
	var b strings.Builder
	for _, t := range el.Child {
		switch t := t.(type) {
		case *etree.CharData:
			b.WriteString(t.Data)
		default:
			return "", false
		}
	}
	return strings.TrimSpace(b.String()), true
}

// instant reads a time, which is UTC (SAML core §1.3.3); the zero time where there is none.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999", s)
	}
	if err != nil {
		return t, refuse("time", "a time cannot be read")
	}
	return t.UTC(), nil
}
