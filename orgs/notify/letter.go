package notify

import (
	"embed"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store/seal"
)

//go:embed words layout
var files embed.FS

// letter is a mail to be written.
type letter struct {
	kind, to        string
	about           orgs.About
	token           seal.Secret // that the mail carries, if any
	head            orgs.Letterhead
	baseURL, sender string
}

// page is what the layouts show. They add no words of their own.
type page struct {
	Language    string
	Subject     string
	Paragraphs  []string
	Facts       []fact
	QuoteOf     string // who said Quote; "" for no quote
	Quote       string
	Action      string // label of Link; "" for none
	Link        string
	After, Foot string
}

type fact struct{ Label, Value string }

var (
	textLayout = texttemplate.Must(texttemplate.New("text.tmpl").Funcs(texttemplate.FuncMap{"quoted": quoted}).ParseFS(files, "layout/text.tmpl"))
	htmlLayout = htmltemplate.Must(htmltemplate.New("html.tmpl").ParseFS(files, "layout/html.tmpl"))
)

// quoted puts a mark before every line, as mails have always quoted.
func quoted(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") }

// message writes the mail.
func (l letter) message() (m Message, err error) {
	w := wordsIn(l.head.Language)
	p, err := l.page(w)
	if err != nil {
		return m, err
	}
	m = Message{To: l.to, Subject: p.Subject, Language: w.language}
	var text, html strings.Builder
	if err := textLayout.Execute(&text, p); err != nil {
		return m, err
	}
	if err := htmlLayout.Execute(&html, p); err != nil {
		return m, err
	}
	m.Text, m.HTML = text.String(), html.String()
	return m, nil
}

// page puts what there is to say into words.
func (l letter) page(w *words) (p page, err error) {
	c := l.content(w)
	c.vars["org"], c.vars["place"], c.vars["sender"] = line(l.head.Organization), line(l.head.Place), line(l.sender)
	kind := l.kind
	if kind == orgs.KindInvitationResent {
		kind = orgs.KindInvited // another link of the same invitation
	}
	p = page{Language: w.language, QuoteOf: c.quoteOf, Quote: prose(c.quote)}
	if p.Quote == "" {
		p.QuoteOf = ""
	}
	say := func(to *string, block string) {
		if err == nil {
			*to, err = w.say(block, c.vars)
		}
	}
	var text string
	say(&p.Subject, kind+".subject")
	say(&text, kind+".text")
	say(&p.Foot, "foot")
	if c.link != "" {
		say(&p.Action, kind+".action")
		say(&p.After, kind+".after")
		p.Link = l.baseURL + c.link
	}
	if p.QuoteOf != "" {
		c.vars["who"] = p.QuoteOf
		say(&p.QuoteOf, "quote")
	}
	for _, f := range c.facts {
		if f.Value != "" {
			say(&f.Label, "label."+f.Label)
			p.Facts = append(p.Facts, f)
		}
	}
	p.Subject, p.Paragraphs = line(p.Subject), strings.Split(text, "\n\n")
	return p, err
}

// content is what a mail says, without its words. Facts are labelled by the names of their words.
type content struct {
	vars           map[string]string
	facts          []fact
	quote, quoteOf string // what somebody has written, and who
	link           string // behind the base URL; "" for none
}

func (c *content) fact(label, value string) { c.facts = append(c.facts, fact{label, value}) }

// date writes the day of a time, and moment the time too.
func (l letter) date(t time.Time) string { return l.head.Date(t) }
func (l letter) moment(t time.Time) string {
	return l.head.Date(t) + " " + t.In(l.head.Zone).Format("15:04 MST")
}

// period writes the days of a period that ends before its end, "" for one without an end.
func (l letter) period(from, end time.Time) string {
	if end.IsZero() {
		return ""
	}
	return l.date(from) + " – " + l.date(end.Add(-time.Microsecond))
}

// person is the name or address of a user, "" for who is unknown.
func (l letter) person(id string) string { return line(l.head.People[id]) }

// money writes an amount in USD with its cents and all digits that it has behind them.
func (w *words) money(d decimal.Decimal) string {
	places := max(2, -d.Exponent())
	whole, rest, _ := strings.Cut(d.StringFixed(places), ".")
	for len(rest) > 2 && strings.HasSuffix(rest, "0") {
		rest = rest[:len(rest)-1]
	}
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + w.group + whole[i:]
	}
	return whole + w.point + rest + " USD"
}

// percent writes a share.
func (w *words) percent(d decimal.Decimal) string {
	return strings.Replace(d.Shift(2).String(), ".", w.point, 1) + w.percentSign
}

// acceptLink keeps the token behind the #, which browsers send to nobody.
func acceptLink(token seal.Secret) string {
	return "/invitations/accept#token=" + url.QueryEscape(token.Reveal())
}
