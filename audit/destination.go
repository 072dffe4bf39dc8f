package audit

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Destination is where events are sent to.
type Destination struct {
	ID   string `json:"id"`   // stays the same for as long as the destination does
	Type string `json:"type"` // s3 or siem

	Bucket     string `json:"bucket,omitempty"`     // of s3
	Prefix     string `json:"prefix,omitempty"`     // of s3
	Encryption string `json:"encryption,omitempty"` // of s3: AES256
	Format     string `json:"format,omitempty"`     // of siem: json, ocsf or ecs
	Endpoint   string `json:"endpoint,omitempty"`   // of siem; of s3 where it is not that of AWS
	Region     string `json:"region,omitempty"`     // where it lies: a code of [Rules], or a region of an object store

	SecretsAt map[string]time.Time `json:"secrets_updated_at,omitempty"` // by field, of those that are set
}

// The types of destinations.
const (
	S3   = "s3"
	SIEM = "siem"
)

// SecretFields are the fields of a destination that are secrets.
func (d Destination) SecretFields() []string {
	switch d.Type {
	case S3:
		return []string{"access_key_id", "secret_access_key"}
	case SIEM:
		return []string{"api_key"}
	}
	return nil
}

// SecretKey is where [Config] keeps a secret of the destination.
func (d Destination) SecretKey(field string) string { return d.ID + "." + field }

// SecretPlace is what a secret of the destination is sealed for.
func (d Destination) SecretPlace(orgID, field string) seal.Place {
	return seal.Place{OrgID: orgID, Record: d.ID, Field: d.Type + "." + field}
}

// SameTarget says whether both send to the same place.
func (d Destination) SameTarget(other Destination) bool {
	return d.Type == other.Type && d.Endpoint == other.Endpoint && d.Bucket == other.Bucket && d.Prefix == other.Prefix
}

// Same says whether both send the same to the same place in the same way.
func (d Destination) Same(other Destination) bool {
	return d.SameTarget(other) && d.Region == other.Region && d.Encryption == other.Encryption && d.Format == other.Format &&
		maps.EqualFunc(d.SecretsAt, other.SecretsAt, time.Time.Equal)
}

// Destinations are those of one organization.
type Destinations []Destination

func (list Destinations) validate(r *Rules, c Compliance) (warnings []store.Warning, err error) {
	if len(list) > MaxDestinations {
		return nil, store.Invalid("export_destinations", "range", "must have at most %d entries", MaxDestinations)
	}
	for i := range list {
		d, at := &list[i], fmt.Sprintf("export_destinations[%d].", i)
		if err := d.validate(at, r, c); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list[:i], d.SameTarget) {
			return nil, store.Invalid(strings.TrimSuffix(at, "."), "duplicate", "goes where another one goes already")
		}
		if c.DataResidency != "" && r.place(d.Region) == "" {
			warnings = append(warnings, store.Warning{Code: "region_unknown", Field: at + "region", Message: "nothing says that it lies in " + c.DataResidency})
		}
	}
	return warnings, nil
}

func (d *Destination) validate(at string, r *Rules, c Compliance) (err error) {
	switch d.Type {
	case S3:
		err = d.validateS3(at)
	case SIEM:
		err = d.validateSIEM(at, r)
	default:
		err = store.Invalid(at+"type", "enum", "must be s3 or siem")
	}
	if err != nil {
		return err
	}
	if d.Endpoint != "" {
		if err := checkEndpoint(at+"endpoint", d.Endpoint, r, c); err != nil {
			return err
		}
	}
	if place := r.place(d.Region); c.DataResidency != "" && place != "" && place != c.DataResidency {
		return store.Invalid(at+"region", "data_residency", "lies in %s and not in %s", place, c.DataResidency)
	}
	return nil
}

var (
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9!_.*'()=/-]{0,512}$`)
	regionForm = regexp.MustCompile(`^[A-Za-z0-9-]{0,40}$`)
	dottedQuad = regexp.MustCompile(`^[0-9.]+$`)
)

func (d *Destination) validateS3(at string) error {
	switch {
	case !bucketForm.MatchString(d.Bucket) || strings.Contains(d.Bucket, "..") || dottedQuad.MatchString(d.Bucket):
		return store.Invalid(at+"bucket", "pattern", "must be the name of a bucket: 3 to 63 small letters, digits, dots and hyphens")
	case !prefixForm.MatchString(d.Prefix) || strings.HasPrefix(d.Prefix, "/") || slices.ContainsFunc(strings.Split(d.Prefix, "/"), dots):
		return store.Invalid(at+"prefix", "pattern", "must be the beginning of a key, without a slash in front and without . and .. between slashes")
	case d.Encryption != "" && d.Encryption != "AES256":
		return store.Invalid(at+"encryption", "enum", "must be AES256")
	case !regionForm.MatchString(d.Region):
		return store.Invalid(at+"region", "pattern", "must be a region, such as us-east-1")
	case d.Format != "":
		return store.Invalid(at+"format", "unknown", "is of siem only")
	}
	return nil
}

func dots(part string) bool { return part == "." || part == ".." }

func (d *Destination) validateSIEM(at string, r *Rules) error {
	for _, f := range [][2]string{{"bucket", d.Bucket}, {"prefix", d.Prefix}, {"encryption", d.Encryption}} {
		if f[1] != "" {
			return store.Invalid(at+f[0], "unknown", "is of s3 only")
		}
	}
	if d.Format == "" {
		d.Format = "json"
	}
	switch {
	case !slices.Contains([]string{"json", "ocsf", "ecs"}, d.Format):
		return store.Invalid(at+"format", "enum", "must be json or ocsf or ecs")
	case d.Endpoint == "":
		return store.Invalid(at+"endpoint", "required", "is required")
	case d.Region != "" && !slices.Contains(r.Regions, d.Region):
		return store.Invalid(at+"region", "enum", "must be %s", alternatives(r.Regions))
	}
	return nil
}

const maxEndpoint = 2048

// URLCode is the word for programs in the error of a URL that must not be called.
const URLCode = "url_not_allowed"

func checkEndpoint(field, endpoint string, r *Rules, c Compliance) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || len(endpoint) > maxEndpoint:
		return store.Invalid(field, URLCode, "must be a URL of at most %d characters", maxEndpoint)
	case u.User != nil:
		return store.Invalid(field, URLCode, "must not hold a user name or password")
	case u.Scheme != "https" && c.EncryptionInTransit:
		return store.Invalid(field, URLCode, "must be an https URL, as encryption_in_transit says")
	}
	if err := r.CheckURL(endpoint); err != nil {
		return store.Invalid(field, URLCode, "%v", err)
	}
	return nil
}
