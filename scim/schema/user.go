package schema

// The URNs of the schemas.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// common are the attributes that every resource has (RFC 7643 §3.1). They are in no schema.
var common = []Attribute{
	{Name: "schemas", Type: Reference, Multi: true, CaseExact: true, Mutability: ReadWrite, Returned: Always},
	{Name: "id", Type: String, CaseExact: true, Mutability: ReadOnly, Returned: Always, Unique: true},
	{Name: "externalId", Type: String, CaseExact: true, Mutability: ReadWrite, Returned: Default},
	{Name: "meta", Type: Complex, Mutability: ReadOnly, Returned: Default, Sub: []Attribute{
		{Name: "resourceType", Type: String, CaseExact: true, Mutability: ReadOnly, Returned: Default},
		{Name: "created", Type: DateTime, Mutability: ReadOnly, Returned: Default},
		{Name: "lastModified", Type: DateTime, Mutability: ReadOnly, Returned: Default},
		{Name: "location", Type: Reference, CaseExact: true, Mutability: ReadOnly, Returned: Default},
		{Name: "version", Type: String, CaseExact: true, Mutability: ReadOnly, Returned: Default},
	}},
}

// text is a plain attribute that clients write.
func text(name, description string) Attribute {
	return Attribute{Name: name, Type: String, Description: description, Mutability: ReadWrite, Returned: Default}
}

// many is a list of values of the usual shape (RFC 7643 §2.4).
func many(name, description string, value Attribute, types ...string) Attribute {
	value.Name = "value"
	if value.Type == "" {
		value.Type = String
	}
	value.Mutability, value.Returned = ReadWrite, Default
	kind := text("type", "A label of the value.")
	kind.Canonical = types
	return Attribute{Name: name, Type: Complex, Multi: true, Description: description, Mutability: ReadWrite, Returned: Default,
		Sub: []Attribute{value, text("display", "A name of the value for people."), kind, primary}}
}

var primary = Attribute{Name: "primary", Type: Boolean, Description: "Whether it is the preferred one; at most one is.",
	Mutability: ReadWrite, Returned: Default}

// Users are people (RFC 7643 §4.1), with the enterprise extension (§4.3).
var Users = ResourceType{Name: "User", Endpoint: "/Users", Description: "A member of the organization", Extensions: []Schema{enterprise},
	Core: Schema{ID: UserURN, Name: "User", Description: "A member of the organization", Attributes: []Attribute{
		{Name: "userName", Type: String, Description: "The name by which the identity provider knows the person.", Required: true,
			Mutability: ReadWrite, Returned: Default, Unique: true},
		{Name: "name", Type: Complex, Description: "The parts of the person's name.", Mutability: ReadWrite, Returned: Default, Sub: []Attribute{
			text("formatted", "The whole name."), text("familyName", "The family name."), text("givenName", "The given name."),
			text("middleName", "The middle names."), text("honorificPrefix", "A title before the name."), text("honorificSuffix", "A suffix of the name."),
		}},
		text("displayName", "The name that is shown."),
		text("nickName", "What the person is called casually."),
		{Name: "profileUrl", Type: Reference, Description: "A page about the person.", CaseExact: true, Mutability: ReadWrite, Returned: Default, References: []string{"external"}},
		text("title", "The person's title, such as Vice President."),
		text("userType", "The relation to the organization, such as Contractor."),
		text("preferredLanguage", "The languages that the person prefers, as in Accept-Language."),
		text("locale", "The place after which numbers and dates are written."),
		text("timezone", "The person's time zone, IANA."),
		{Name: "active", Type: Boolean, Description: "Whether the person may use what the organization has.", Mutability: ReadWrite, Returned: Default},
		{Name: "password", Type: String, Description: "Taken and dropped: people sign in elsewhere.", CaseExact: true, Mutability: WriteOnly, Returned: Never},
		many("emails", "The person's e-mail addresses.", Attribute{}, "work", "home", "other"),
		many("phoneNumbers", "The person's telephone numbers.", Attribute{}, "work", "home", "mobile", "fax", "pager", "other"),
		many("ims", "The person's addresses of instant messaging.", Attribute{}, "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
		many("photos", "URLs of photos of the person.", Attribute{Type: Reference, CaseExact: true, References: []string{"external"}}, "photo", "thumbnail"),
		{Name: "addresses", Type: Complex, Multi: true, Description: "The person's postal addresses.", Mutability: ReadWrite, Returned: Default, Sub: []Attribute{
			text("formatted", "The whole address."), text("streetAddress", "Street and number."), text("locality", "The city."),
			text("region", "The state or region."), text("postalCode", "The postal code."), text("country", "The country, ISO 3166-1 alpha 2."),
			{Name: "type", Type: String, Description: "A label of the address.", Canonical: []string{"work", "home", "other"}, Mutability: ReadWrite, Returned: Default},
			primary,
		}},
		{Name: "groups", Type: Complex, Multi: true, Description: "The groups that the person is in, by membership of groups alone.", Mutability: ReadOnly, Returned: Default, Sub: []Attribute{
			{Name: "value", Type: String, Description: "The id of the group.", CaseExact: true, Mutability: ReadOnly, Returned: Default},
			{Name: "$ref", Type: Reference, Description: "Where the group is.", CaseExact: true, Mutability: ReadOnly, Returned: Default, References: []string{"Group"}},
			{Name: "display", Type: String, Description: "The name of the group.", Mutability: ReadOnly, Returned: Default},
			{Name: "type", Type: String, Description: "direct or indirect.", Canonical: []string{"direct", "indirect"}, Mutability: ReadOnly, Returned: Default},
		}},
		many("entitlements", "What the person is entitled to; it grants nothing here.", Attribute{}),
		many("roles", "The person's roles at the identity provider; they grant nothing here.", Attribute{}),
		many("x509Certificates", "The person's certificates.", Attribute{Type: Binary, CaseExact: true}),
	}}}

var enterprise = Schema{ID: EnterpriseURN, Name: "EnterpriseUser", Description: "What an enterprise knows of a person", Attributes: []Attribute{
	text("employeeNumber", "The number of the person in the organization."),
	text("costCenter", "The person's cost center."),
	text("organization", "The name of the person's organization."),
	text("division", "The name of the person's division."),
	text("department", "The name of the person's department."),
	{Name: "manager", Type: Complex, Description: "The person's manager.", Mutability: ReadWrite, Returned: Default, Sub: []Attribute{
		{Name: "value", Type: String, Description: "The id of the manager.", CaseExact: true, Mutability: ReadWrite, Returned: Default},
		{Name: "$ref", Type: Reference, Description: "Where the manager is.", CaseExact: true, Mutability: ReadWrite, Returned: Default, References: []string{"User"}},
		{Name: "displayName", Type: String, Description: "The name of the manager.", Mutability: ReadOnly, Returned: Default},
	}},
}}

// Groups have members (RFC 7643 §4.2).
var Groups = ResourceType{Name: "Group", Endpoint: "/Groups", Description: "A team of the organization",
	Core: Schema{ID: GroupURN, Name: "Group", Description: "A team of the organization", Attributes: []Attribute{
		{Name: "displayName", Type: String, Description: "The name of the group.", Required: true, Mutability: ReadWrite, Returned: Default, Unique: true},
		{Name: "members", Type: Complex, Multi: true, Description: "Who is in the group.", Mutability: ReadWrite, Returned: Default, Sub: []Attribute{
			{Name: "value", Type: String, Description: "The id of the member.", CaseExact: true, Mutability: Immutable, Returned: Default},
			{Name: "$ref", Type: Reference, Description: "Where the member is.", CaseExact: true, Mutability: Immutable, Returned: Default, References: []string{"User", "Group"}},
			{Name: "type", Type: String, Description: "What the member is.", Canonical: []string{"User", "Group"}, Mutability: Immutable, Returned: Default},
			{Name: "display", Type: String, Description: "The name of the member.", Mutability: ReadOnly, Returned: Default},
		}},
	}}}
