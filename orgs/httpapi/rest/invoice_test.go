package rest_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// draft gives an organization a draft of an invoice, and returns the id.
func draft(t *testing.T, s *store.Store, org string) string {
	t.Helper()
	start := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	i := orgs.Invoice{OrgID: org, Month: "2024-02", PeriodStart: start, PeriodEnd: start.AddDate(0, 1, 0), Status: orgs.InvoiceDraft, Currency: "USD",
		Cost: decimal.RequireFromString("9.995000000001"), Total: decimal.RequireFromString("10.00")}
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := orgs.Invoices.Insert(ctx, tx, &i); err != nil {
			return err
		}
		return billing.InvoiceLines.Insert(ctx, tx, &billing.InvoiceLine{InvoiceID: i.ID, OrgID: org, Team: "R&D <b>", Model: "gpt-4", StartsAt: start, EndsAt: i.PeriodEnd,
			Requests: 2, Tokens: 30, Cost: i.Cost, Amount: i.Total})
	}))
	return i.ID
}

func TestInvoicesOverHTTP(t *testing.T) { // F020 to F026, F211
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newClient(t, s)
		org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"billing": {"tax_id": "US123456789", "billing_email": "billing@acme.com",
			"invoice_settings": {"footer": "Thank you for your business", "send_to": ["ap@acme.com"]}}, "defaults": {"date_format": "DD.MM.YYYY"}}}`)["id"].(string)
		path := "/v1/organizations/" + org
		c.call(200, "PUT", path+"/billing", `{"payment_methods": [{"type": "invoice", "is_default": true, "details": {"net_terms": 14, "purchase_order_required": true,
			"billing_address": {"line1": "1 Main St", "city": "Austin", "state": "TX", "postal_code": "78701", "country": "US"}}}]}`)
		c.post(path+"/roles", `{"name": "Finance", "permissions": ["invoices.*"]}`)
		_, finance := c.person(org, "finance@acme.com", "finance")
		id := draft(t, s, org)
		one := path + "/invoices/" + id

		listed := finance.call(200, "GET", path+"/invoices", "")["data"].([]any)
		require.Len(t, listed, 1)
		i := finance.call(200, "GET", one, "")
		require.Equal(t, []any{"draft", nil, 9.995000000001, 10.0, 1000.0, "USD", nil}, []any{i["status"], i["number"], i["cost"], i["total"], i["total_minor"], i["currency"], i["net_terms"]})
		line := i["lines"].([]any)[0].(object)
		require.Equal(t, []any{"usage", "gpt-4", 1000.0, 30.0, nil}, []any{line["charge_category"], line["model"], line["amount_minor"], line["tokens"], line["team_id"]})

		wrong := finance.call(400, "POST", one+"/finalize", "")
		require.Equal(t, "body.purchase_order", wrong["errors"].([]any)[0].(object)["location"])
		require.Equal(t, "conflict", finance.call(409, "POST", one+"/mark-paid", "")["code"])
		require.Equal(t, "version_mismatch", finance.with("If-Match", `"7"`).call(412, "POST", one+"/finalize", `{"purchase_order": "PO-7"}`)["code"])
		i = finance.call(200, "POST", one+"/finalize", `{"purchase_order": "PO-7"}`)
		require.Equal(t, []any{"finalized", "INV-000001", "PO-7", 14.0, "US123456789", "billing@acme.com", "Thank you for your business"},
			[]any{i["status"], i["number"], i["purchase_order"], i["net_terms"], i["tax_id"], i["billing_email"], i["footer"]})
		require.Equal(t, "1 Main St", i["billing_address"].(object)["line1"])
		finance.call(409, "POST", one+"/finalize", `{"purchase_order": "PO-7"}`)

		page := finance.do("GET", one+"/download", "")
		require.Equal(t, 200, page.Code, page.Body)
		require.Equal(t, []string{"text/html; charset=utf-8", `attachment; filename=invoice-INV-000001.html`}, []string{page.Header().Get("Content-Type"), page.Header().Get("Content-Disposition")})
		require.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
		for _, text := range []string{"INV-000001", "PO-7", "US123456789", "1 Main St", "78701 Austin", "Thank you for your business", "R&amp;D &lt;b&gt;", "9.995000000001", "10.00", "01.02.2024 – 29.02.2024"} {
			require.Contains(t, page.Body.String(), text)
		}
		require.NotRegexp(t, `<script|<link|<img|src=|@import|url\(|<b>`, page.Body.String())

		i = finance.call(200, "POST", one+"/mark-paid", `{"reference": "transfer 7"}`)
		require.Equal(t, []any{"paid", "transfer 7"}, []any{i["status"], i["payment"].(object)["reference"]})
		require.NotNil(t, i["paid_at"])
		finance.call(409, "POST", one+"/void", `{"reason": "late"}`)
		finance.call(404, "GET", path+"/invoices/invc_none", "")
		finance.call(400, "POST", one+"/void", `{"why": "late"}`)

		_, member := c.person(org, "member@acme.com", "member")
		for _, end := range []string{"s", "s/" + id, "s/" + id + "/download"} {
			require.Equal(t, 403, member.do("GET", path+"/invoice"+end, "").Code)
		}
		_, stranger := c.user("stranger@other.com", time.Time{})
		for _, end := range []string{"s", "s/" + id, "s/" + id + "/download"} {
			require.Equal(t, 404, c.as(stranger, "").do("GET", path+"/invoice"+end, "").Code)
		}
	})
}
