package orgs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// OrgSettings are an organization's settings as they were given; what is absent has its default.
type OrgSettings struct {
	Billing  *BillingSettings  `json:"billing,omitempty"`
	Security *SecuritySettings `json:"security,omitempty"`
	Defaults *DefaultSettings  `json:"defaults,omitempty"`
	Models   *ModelSettings    `json:"models,omitempty"`  // a ceiling for every team and all below
	Objects  *ObjectSettings   `json:"objects,omitempty"` // likewise
}

// How an organization is invoiced.
const (
	Consolidated = "consolidated" // one invoice for all teams (F020)
	PerTeam      = "per_team"     // one for each team, and one for what belongs to none (F021)
)

// BillingSettings say how the organization is invoiced.
type BillingSettings struct {
	Type            string           `json:"type,omitempty"` // consolidated (default) or per_team
	PaymentMethodID string           `json:"payment_method_id,omitempty"`
	BillingEmail    string           `json:"billing_email,omitempty"`
	TaxID           string           `json:"tax_id,omitempty"`
	InvoiceSettings *InvoiceSettings `json:"invoice_settings,omitempty"`
}

// InvoiceSettings are printed on invoices and say where they go.
type InvoiceSettings struct {
	Footer string   `json:"footer,omitempty"`
	SendTo []string `json:"send_to,omitempty"`
}

// SecuritySettings bind the people who sign in to the organization.
type SecuritySettings struct {
	Require2FA            bool     `json:"require_2fa,omitempty"`
	SSOEnabled            bool     `json:"sso_enabled,omitempty"`
	SSOProvider           string   `json:"sso_provider,omitempty"` // okta, azure, google or custom
	IPAllowlist           []string `json:"ip_allowlist,omitempty"` // of management calls; none is no limit
	IPAllowlistScope      string   `json:"ip_allowlist_scope,omitempty"`
	SessionTimeoutMinutes int      `json:"session_timeout_minutes,omitempty"` // 5 to 43200; absent is 60
}

// DefaultSettings are the organization's habits.
type DefaultSettings struct {
	Timezone   string `json:"timezone,omitempty"`    // IANA; absent is UTC
	Language   string `json:"language,omitempty"`    // BCP 47; absent is en
	DateFormat string `json:"date_format,omitempty"` // YYYY, YY, MM, M, DD, D and separators
}

var (
	languageForm   = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$`)
	dateFormatForm = regexp.MustCompile(`^(YYYY|YY|MM|M|DD|D)([-/. ,]{1,2}(YYYY|YY|MM|M|DD|D)){1,2}$`)
)

// MaxAllowlist is the most entries of an address list.
const MaxAllowlist = 500

// Validate names the first field that is wrong.
func (s OrgSettings) Validate() error {
	if b := s.Billing; b != nil {
		if err := oneOf("settings.billing.type", b.Type, "", Consolidated, PerTeam); err != nil {
			return err
		}
		if err := optionalEmail("settings.billing.billing_email", b.BillingEmail); err != nil {
			return err
		}
		if err := rbac.CheckText("settings.billing.tax_id", b.TaxID, 0, rbac.MaxName); err != nil {
			return err
		}
		if b.InvoiceSettings != nil {
			if err := rbac.CheckText("settings.billing.invoice_settings.footer", b.InvoiceSettings.Footer, 0, rbac.MaxDescription); err != nil {
				return err
			}
			if len(b.InvoiceSettings.SendTo) > billing.MaxNotify {
				return store.Invalid("settings.billing.invoice_settings.send_to", "range", "must have at most %d entries", billing.MaxNotify)
			}
			for i, to := range b.InvoiceSettings.SendTo {
				if _, err := checkEmail(fmt.Sprintf("settings.billing.invoice_settings.send_to[%d]", i), to); err != nil {
					return err
				}
			}
		}
	}
	if err := s.Security.validate(); err != nil {
		return err
	}
	if err := s.Models.validate(); err != nil {
		return err
	}
	if err := s.Objects.validate("settings.objects"); err != nil {
		return err
	}
	return s.Defaults.validate()
}

func (s *SecuritySettings) validate() error {
	if s == nil {
		return nil
	}
	if err := oneOf("settings.security.sso_provider", s.SSOProvider, "", "okta", "azure", "google", "custom"); err != nil {
		return err
	}
	if err := oneOf("settings.security.ip_allowlist_scope", s.IPAllowlistScope, "", "management", "all"); err != nil {
		return err
	}
	if t := s.SessionTimeoutMinutes; t != 0 && (t < 5 || t > 43200) {
		return store.Invalid("settings.security.session_timeout_minutes", "range", "must be from 5 to 43200")
	}
	return checkRanges("settings.security.ip_allowlist", s.IPAllowlist)
}

func checkRanges(field string, ranges []string) error {
	if len(ranges) > MaxAllowlist {
		return store.Invalid(field, "range", "must have at most %d entries", MaxAllowlist)
	}
	for i, r := range ranges {
		if _, err := rbac.ParseRange(r); err != nil {
			return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "cidr", "must be an address or a CIDR range")
		}
	}
	return nil
}

func (s *DefaultSettings) validate() error {
	if s == nil {
		return nil
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "Local" {
		return store.Invalid("settings.defaults.timezone", "enum", "must be an IANA time zone")
	}
	if s.Language != "" && !languageForm.MatchString(s.Language) {
		return store.Invalid("settings.defaults.language", "pattern", "must be a language tag such as en or pt-BR")
	}
	if s.DateFormat != "" && !dateFormatForm.MatchString(s.DateFormat) {
		return store.Invalid("settings.defaults.date_format", "pattern", "must be made of YYYY, YY, MM, M, DD, D and separators")
	}
	return nil
}

// scope writes down what decisions need to know of the settings.
func (s OrgSettings) scope(scope *rbac.Scope) {
	scope.Zone, scope.AllowedIPs, scope.RequireMFA, scope.AllowedIPsData, scope.SessionMinutes = "UTC", nil, false, false, 0
	if s.Defaults != nil && s.Defaults.Timezone != "" {
		scope.Zone = s.Defaults.Timezone
	}
	if sec := s.Security; sec != nil {
		scope.AllowedIPs, scope.RequireMFA = sec.IPAllowlist, sec.Require2FA
		scope.AllowedIPsData, scope.SessionMinutes = sec.IPAllowlistScope == "all", sec.SessionTimeoutMinutes
	}
}

func oneOf(field, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return store.Invalid(field, "enum", "must be %s", strings.TrimPrefix(strings.Join(allowed, " or "), " or "))
}

func optionalEmail(field, value string) error {
	if value == "" {
		return nil
	}
	_, err := checkEmail(field, value)
	return err
}

// checkNotify takes an e-mail address or the slug of a role (F319).
func checkNotify(field string, entries []string) error {
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", field, i)
		if strings.Contains(e, "@") {
			if _, err := checkEmail(at, e); err != nil {
				return err
			}
		} else if err := store.CheckSlug(at, strings.ToLower(e)); err != nil {
			return store.Invalid(at, "pattern", "must be an e-mail address or the slug of a role")
		}
	}
	return nil
}

// unknownNotified are the entries that are no address and no role of the organization, each a *store.FieldError.
func unknownNotified(ctx context.Context, tx *store.Tx, orgID, field string, entries []string) (faults []error, err error) {
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", field, i)
		if wrong := checkNotify(field, []string{e}); wrong != nil {
			var fault *store.FieldError
			if errors.As(wrong, &fault) {
				wrong = store.Invalid(at, fault.Code, "%s", fault.Message)
			}
			faults = append(faults, wrong)
			continue
		}
		if strings.Contains(e, "@") {
			continue
		}
		switch _, err := namedRole(ctx, tx, orgID, e); {
		case errors.Is(err, store.ErrNotFound):
			faults = append(faults, store.Invalid(at, "unknown", "is neither an e-mail address nor a role of the organization"))
		case err != nil:
			return nil, err
		}
	}
	return faults, nil
}

// known says whether the roles that are to be told exist, all at once as errors do that are joined (F319).
func (n *NotificationSettings) known(ctx context.Context, tx *store.Tx, orgID string) error {
	if n == nil {
		return nil
	}
	var faults []error
	for _, list := range []struct {
		field   string
		entries []string
	}{{"settings.notifications.usage_alerts", n.UsageAlerts}, {"settings.notifications.approval_requests", n.ApprovalRequests}} {
		some, err := unknownNotified(ctx, tx, orgID, list.field, list.entries)
		if err != nil {
			return err
		}
		faults = append(faults, some...)
	}
	return errors.Join(faults...)
}

// namedRole is the role of an entry, whose slug may be in the plural: an exact one wins (F319).
func namedRole(ctx context.Context, tx *store.Tx, orgID, entry string) (rbac.Role, error) {
	role, err := rbac.FindRole(ctx, tx, orgID, entry)
	if errors.Is(err, store.ErrNotFound) {
		return rbac.FindRole(ctx, tx, orgID, strings.TrimSuffix(entry, "s"))
	}
	return role, err
}
