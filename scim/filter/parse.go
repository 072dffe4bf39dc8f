package filter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Parse reads a filter. What is wrong with it is an *[Error].
func Parse(text string) (Expr, error) {
	p := &parser{lexer: lexer{text: text}}
	if len(text) > MaxText {
		return nil, fail(MaxText, fmt.Sprintf("a filter has at most %d bytes", MaxText))
	}
	p.advance()
	e := p.or(0)
	if p.err == nil && p.next.kind != end {
		p.unexpected("and, or, or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// Target is the path of an operation of a patch: an attribute, or those elements of it that match, or a sub-attribute of
// those.
type Target struct {
	Path  Path
	Inner Expr   // nil: no elements are chosen
	Sub   string // of the elements
}

// String is the path as it is written.
func (t Target) String() string {
	s := t.Path.String()
	if t.Inner != nil {
		s += "[" + t.Inner.String() + "]"
		if t.Sub != "" {
			s += "." + t.Sub
		}
	}
	return s
}

// ParsePath reads the path of an operation. What is wrong with it is an *[Error].
func ParsePath(text string) (Target, error) {
	var t Target
	if len(text) > MaxPath {
		return t, fail(MaxPath, fmt.Sprintf("a path has at most %d bytes", MaxPath))
	}
	p := &parser{lexer: lexer{text: text}}
	p.advance()
	if t.Path = p.path(); p.err != nil {
		return t, p.err
	}
	if p.next.kind == left {
		t.Inner = p.inner(0)
		t.Sub, _ = p.sub()
	}
	if p.err == nil && p.next.kind != end {
		p.unexpected("the end")
	}
	if p.err != nil {
		return Target{}, p.err
	}
	return t, nil
}

type parser struct {
	lexer
	nodes   int
	element bool // inside of brackets
}

func (p *parser) failAt(at int, format string, args ...any) {
	if p.err == nil {
		p.err = fail(at, fmt.Sprintf(format, args...))
	}
}

func (p *parser) unexpected(wanted string) {
	p.failAt(p.next.at, "expected %s, found %s", wanted, p.next.kind)
}

// node counts the nodes of the tree.
func (p *parser) node(at int) {
	if p.nodes++; p.nodes > MaxNodes {
		p.failAt(at, "a filter has at most %d terms and operators", MaxNodes)
	}
}

// is says whether the next token is the keyword.
func (p *parser) is(keyword string) bool {
	return p.next.kind == word && strings.EqualFold(p.next.text, keyword)
}

func (p *parser) or(depth int) Expr {
	return p.chain(depth, "or", p.and, func(terms []Expr) Expr { return &Or{terms} })
}

func (p *parser) and(depth int) Expr {
	return p.chain(depth, "and", p.unary, func(terms []Expr) Expr { return &And{terms} })
}

// chain reads terms that are joined by a keyword. Terms in parentheses that are such a chain themselves become a part of it.
func (p *parser) chain(depth int, keyword string, term func(int) Expr, join func([]Expr) Expr) Expr {
	first := term(depth)
	if p.err != nil || !p.is(keyword) {
		return first
	}
	p.node(p.next.at)
	terms := flat(nil, keyword, first)
	for p.err == nil && p.is(keyword) {
		p.advance()
		terms = flat(terms, keyword, term(depth))
	}
	return join(terms)
}

func flat(terms []Expr, keyword string, e Expr) []Expr {
	switch e := e.(type) {
	case *And:
		if keyword == "and" {
			return append(terms, e.Terms...)
		}
	case *Or:
		if keyword == "or" {
			return append(terms, e.Terms...)
		}
	}
	return append(terms, e)
}

func (p *parser) unary(depth int) Expr {
	if p.err != nil {
		return nil
	}
	not := p.is("not")
	if not {
		p.node(p.next.at)
		p.advance()
		if p.next.kind != open {
			p.unexpected("( behind not")
			return nil
		}
	}
	if p.next.kind != open {
		return p.term(depth)
	}
	if depth++; depth > MaxDepth {
		p.failAt(p.next.at, "a filter is nested at most %d deep", MaxDepth)
		return nil
	}
	p.advance()
	e := p.or(depth)
	if p.err == nil && p.next.kind != closed {
		p.unexpected("and, or, or )")
		return nil
	}
	p.advance()
	if not {
		return &Not{e}
	}
	return e
}

// term reads a comparison, or elements in brackets with perhaps a comparison behind them.
func (p *parser) term(depth int) Expr {
	at := p.next.at
	p.node(at)
	path := p.path()
	if p.err != nil {
		return nil
	}
	if p.next.kind != left {
		return p.compare(path, at)
	}
	e := &Element{Path: path, Inner: p.inner(depth), at: at}
	if sub, is := p.sub(); is {
		p.node(at)
		e.Then = p.compare(Path{Attr: sub}, at)
	}
	return e
}

// inner reads what is in brackets.
func (p *parser) inner(depth int) Expr {
	switch depth++; {
	case p.element:
		p.failAt(p.next.at, "brackets cannot stand in brackets")
		return nil
	case depth > MaxDepth:
		p.failAt(p.next.at, "a filter is nested at most %d deep", MaxDepth)
		return nil
	}
	p.element = true
	p.advance()
	e := p.or(depth)
	p.element = false
	if p.err == nil && p.next.kind != right {
		p.unexpected("and, or, or ]")
		return nil
	}
	return e // and the bracket is left for sub, which looks at what touches it
}

// sub goes over the closing bracket and reads the sub-attribute that touches it, if there is one.
func (p *parser) sub() (name string, is bool) {
	if p.err != nil {
		return "", false
	}
	touches := p.at < len(p.text) && p.text[p.at] == '.'
	p.advance()
	if !touches {
		return "", false
	}
	if name = p.next.text[1:]; !isName(name) {
		p.failAt(p.next.at, "expected the name of an attribute behind the dot")
		return "", false
	}
	p.advance()
	return name, true
}

var operators = []Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le, Pr}

// compare reads an operator and a value.
func (p *parser) compare(path Path, at int) *Compare {
	e := &Compare{Path: path, at: at}
	if p.next.kind != word {
		p.unexpected("an operator")
		return nil
	}
	e.Op = Op(strings.ToLower(p.next.text))
	if !slices.Contains(operators, e.Op) {
		p.failAt(p.next.at, "there is no such operator")
		return nil
	}
	p.advance()
	if e.Op == Pr {
		return e
	}
	switch {
	case p.next.kind == quoted:
		e.Value = p.next.text
	case p.next.kind != word:
		p.unexpected("a value")
	case p.is("true"), p.is("false"):
		e.Value = p.is("true")
	case p.is("null"):
	case isNumber(p.next.text):
		e.Value = Number(p.next.text)
	default:
		p.failAt(p.next.at, "a value is a string in quotes, a number, true, false or null")
	}
	p.advance()
	return e
}

func isNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	return json.Valid([]byte(s))
}

// path reads the name of an attribute.
func (p *parser) path() (path Path) {
	if p.next.kind != word {
		p.unexpected("the name of an attribute")
		return path
	}
	t, at := p.next.text, p.next.at
	p.advance()
	name := t
	if i := strings.LastIndexByte(t, ':'); i >= 0 {
		path.URN, name = t[:i], t[i+1:]
		if !isURN(path.URN) {
			p.failAt(at, "is not the name of an attribute")
			return Path{}
		}
	}
	parts := strings.Split(name, ".")
	most := 2
	if path.URN != "" {
		most = 3 // where a dot joins the attribute to the URN
	}
	if len(parts) > most || slices.ContainsFunc(parts, func(s string) bool { return !isName(s) }) {
		// The last word of a URN has digits and dots: then there is no attribute, as in a path to a whole extension.
		p.failAt(at, "is not the name of an attribute")
		return Path{}
	}
	path.Attr, path.Sub = parts[0], strings.Join(parts[1:], ".")
	return path
}

// isName: a letter, then letters, digits, - and _ (RFC 7643 §2.1); and $ref.
func isName(s string) bool {
	s = strings.TrimPrefix(s, "$")
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '-' || c == '_')) {
			return false
		}
	}
	return s != ""
}

// isURN: what may be before the last colon.
func isURN(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(":.-_/", c) >= 0) {
			return false
		}
	}
	return s != ""
}
