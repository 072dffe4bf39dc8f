package rest

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"html/template"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

//go:embed invoice.html
var invoiceHTML string

var invoicePage = template.Must(template.New("invoice").Parse(invoiceHTML))

// pageAnswer is a page for people, without scripts, which loads nothing.
type pageAnswer struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Options     string `header:"X-Content-Type-Options"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

const htmlType = "text/html; charset=utf-8"

// addPage registers an operation whose answer is a page.
func addPage(a *api, path, summary string, fn func(ctx context.Context) (*pageAnswer, error)) {
	op := describe[none](a, http.MethodGet, path, summary, http.StatusOK)
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{htmlType: {Schema: &huma.Schema{Type: huma.TypeString}}}}
	huma.Register(a.huma, op, func(ctx context.Context, _ *none) (*pageAnswer, error) {
		page, err := fn(ctx)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		page.ContentType, page.Options, page.Cache = htmlType, "nosniff", "private, no-store"
		page.Policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
		return page, nil
	})
}

// invoiceFact is what stands at the head of an invoice, by its name.
type invoiceFact struct{ Name, Text string }

// invoiceRow is a line as it is printed.
type invoiceRow struct {
	Team, CostCenter, Model, Period string
	Requests, Tokens                int64
	Cost, Amount                    string
	Late                            bool
}

// printInvoice is the page of an invoice.
func (a *api) printInvoice(p orgs.PrintedInvoice) (*pageAnswer, error) {
	day := p.Head.Date
	period := func(l billing.InvoiceLine) string { return day(l.StartsAt) + " – " + day(l.EndsAt.Add(-1)) }
	facts := []invoiceFact{{"Status", string(p.Status)}, {"Period", period(billing.InvoiceLine{StartsAt: p.PeriodStart, EndsAt: p.PeriodEnd})}}
	fact := func(name, text string) {
		if text != "" {
			facts = append(facts, invoiceFact{name, text})
		}
	}
	if p.IssuedAt != nil {
		fact("Issued", day(*p.IssuedAt))
	}
	if p.DueAt != nil {
		fact("Due", day(*p.DueAt))
	}
	if p.PaidAt != nil {
		fact("Paid", day(*p.PaidAt))
	}
	l := p.Letter
	fact("Team", l.Team)
	fact("Cost centre", l.CostCenter)
	fact("Purchase order", l.PurchaseOrder)
	fact("Tax ID", l.TaxID)
	fact("Payment", map[string]string{billing.CreditCard: "credit card", billing.Invoice: "on invoice"}[l.Method])
	rows := make([]invoiceRow, len(p.Lines))
	for i, l := range p.Lines {
		rows[i] = invoiceRow{cmp.Or(l.Team, l.TeamID), l.CostCenter, l.Model, period(l), l.Requests, l.Tokens, l.Cost.String(), l.Amount.StringFixed(2), l.Adjustment}
	}
	var to []string
	for _, line := range append([]string{l.Organization}, addressLines(l.Address)...) {
		if line = strings.TrimSpace(line); line != "" {
			to = append(to, line)
		}
	}
	name := cmp.Or(p.Number, "draft")
	var b bytes.Buffer
	err := invoicePage.Execute(&b, map[string]any{"Number": p.Number, "Language": "en", "Issuer": strings.Split(a.opt.InvoiceIssuer, "\n"), "To": to, "Facts": facts, "Rows": rows,
		"Cost": p.Cost.String(), "Total": p.Total.StringFixed(2), "Currency": p.Currency, "Footer": l.Footer, "Void": p.Status == orgs.InvoiceVoid})
	if err != nil {
		return nil, err
	}
	return &pageAnswer{Disposition: mime.FormatMediaType("attachment", map[string]string{"filename": "invoice-" + name + ".html"}), Body: b.Bytes()}, nil
}

func addressLines(a *billing.BillingAddress) []string {
	if a == nil {
		return nil
	}
	return []string{a.Line1, a.Line2, a.PostalCode + " " + a.City, a.State, a.Country}
}
