package notify

import (
	"net/url"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

// people are the users whose names a mail needs.
func people(about orgs.About) (ids []string) {
	switch a := about.(type) {
	case orgs.InvitationOffer:
		if a.InvitedByType == audit.User {
			ids = append(ids, a.InvitedBy)
		}
	case orgs.ApprovalStep:
		ids = append(ids, a.Requester)
		for _, v := range a.Decisions { // the last one, if any
			ids = append(ids, v.By)
		}
	case orgs.BreakGlass:
		ids = append(ids, a.User)
	}
	return ids
}

// content is what the mail says.
func (l letter) content(w *words) content {
	c := content{vars: map[string]string{}}
	switch a := l.about.(type) {
	case orgs.InvitationOffer:
		l.invitation(&c, a)
	case orgs.ApprovalStep:
		l.approval(&c, w, a)
	case orgs.BudgetAlert:
		l.budgetAlert(&c, w, a)
	case orgs.BillingAlert:
		c.vars["type"], c.vars["suspended"] = string(a.Type), yes(a.Suspended)
		c.fact("spent", w.money(a.Spent.Decimal()))
		c.fact("reference."+string(a.Type), w.money(a.Reference.Decimal()))
		c.fact("period", l.period(a.PeriodStart, a.PeriodEnd))
	case orgs.InvoiceFinalized:
		c.vars["number"] = line(a.Number)
		c.fact("number", line(a.Number))
		c.fact("total", w.money(a.Total.Decimal()))
		c.fact("period", l.period(a.PeriodStart, a.PeriodEnd))
		if a.DueAt != nil {
			c.fact("due", l.date(*a.DueAt))
		}
	case orgs.PasswordReset:
		c.fact("person", l.person(a.UserID))
		c.fact("until", l.moment(a.ExpiresAt))
		c.link = "/password#token=" + url.QueryEscape(l.token.Reveal()) // as acceptLink
	case orgs.CertificateExpiring:
		c.fact("provider", line(a.Provider))
		c.fact("expires_at", l.moment(a.NotAfter))
	case orgs.BreakGlass:
		c.vars["person"] = l.person(a.User)
		c.fact("person", l.person(a.User))
		c.fact("at", l.moment(a.At))
		c.fact("ip", line(a.IP))
		c.quote, c.quoteOf = a.Reason, l.person(a.User)
	}
	return c
}

// yes is a condition for the words: "" is not so.
func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

func (l letter) invitation(c *content, a orgs.InvitationOffer) {
	inviter := ""
	if a.InvitedByType == audit.User {
		inviter = l.person(a.InvitedBy)
	}
	c.vars["inviter"] = inviter
	c.fact("role", line(a.Role))
	c.fact("until", l.moment(a.ExpiresAt))
	c.quote, c.quoteOf = a.Message, inviter
	if inviter == "" {
		c.quoteOf = line(l.head.Organization)
	}
	c.link = acceptLink(l.token)
}

func (l letter) approval(c *content, w *words, a orgs.ApprovalStep) {
	c.vars["person"], c.vars["resource"] = l.person(a.Requester), line(a.Resource)
	if a.Status == rbac.ApprovalPending { // else they are who is told
		c.fact("person", l.person(a.Requester))
	}
	c.fact("action", line(a.Action))
	if a.Amount != nil {
		c.fact("amount", w.money(*a.Amount))
	}
	c.fact("resource", line(a.Resource))
	c.fact("place", line(l.head.Place))
	c.link = "/approvals/" + url.PathEscape(a.ID)
	c.quote, c.quoteOf = a.Reason, l.person(a.Requester)
	switch l.kind {
	case "approval.requested", "approval.partly_approved":
		c.fact("answer_until", l.moment(a.EndsAt))
	case "approval.approved":
		c.fact("until", l.moment(a.EndsAt))
		switch {
		case a.MaxAmount != nil && a.Amount != nil:
			c.fact("granted", w.money(*a.MaxAmount))
		case a.MaxAmount != nil:
			c.fact("max_amount", w.money(*a.MaxAmount))
		}
	case "approval.denied":
		c.fact("again_from", l.moment(a.EndsAt))
	}
	if n := len(a.Decisions); n > 0 && l.kind != "approval.withdrawn" && l.kind != "approval.expired" {
		last := a.Decisions[n-1]
		by := l.person(last.By)
		c.fact("decided_by", by)
		if l.kind != "approval.partly_approved" { // there the approvers have to know why it was asked for
			c.quote, c.quoteOf = last.Reason, by
		}
	}
}

func (l letter) budgetAlert(c *content, w *words, a orgs.BudgetAlert) {
	of := l.head.Place
	if of == "" {
		of = l.head.Organization
	}
	c.vars["of"], c.vars["percent"] = line(of), w.percent(a.Threshold.Decimal())
	if a.Amount != nil {
		c.vars["percent"] = w.money(a.Amount.Decimal())
	}
	c.fact("spent", w.money(a.Spent.Decimal()))
	c.fact("limit", w.money(a.Limit.Decimal()))
	c.fact("period", l.period(a.PeriodStart, a.PeriodEnd))
}
