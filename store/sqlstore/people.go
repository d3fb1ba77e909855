package sqlstore

import (
	"context"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/people"
)

// reader answers questions, in a transaction or outside.
type reader struct{ db *gorm.DB }

func (r reader) with(ctx context.Context) *gorm.DB { return r.db.WithContext(ctx) }

type personRow struct {
	ID         string `gorm:"primaryKey"`
	Email      string
	Name       string
	Title      string
	Manager    string
	Active     bool
	Attributes map[string]string `gorm:"serializer:json"`
	Search     string
}

func (personRow) TableName() string { return "people" }

func toPersonRow(p people.Person) personRow {
	return personRow{
		ID: string(p.ID), Email: p.Email, Name: p.Name, Title: p.Title, Manager: string(p.Manager),
		Active: p.Active, Attributes: orEmpty(p.Attributes), Search: strings.ToLower(p.Name + " " + p.Email),
	}
}

func (r personRow) person() people.Person {
	return people.Person{
		ID: people.ID(r.ID), Email: r.Email, Name: r.Name, Title: r.Title, Manager: people.ID(r.Manager),
		Active: r.Active, Attributes: orEmpty(r.Attributes),
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func persons(rows []personRow) []people.Person {
	found := make([]people.Person, len(rows))
	for i, row := range rows {
		found[i] = row.person()
	}
	return found
}

func (r reader) Person(ctx context.Context, id people.ID) (people.Person, error) {
	var row personRow
	err := r.with(ctx).Where("id = ?", string(id)).Take(&row).Error
	return row.person(), missing(err, "person")
}

func (r reader) PersonByEmail(ctx context.Context, email string) (people.Person, error) {
	var row personRow
	err := r.with(ctx).Where("email = ?", people.NormalEmail(email)).Take(&row).Error
	return row.person(), missing(err, "person")
}

func (r reader) Persons(ctx context.Context, ids []people.ID) (map[people.ID]people.Person, error) {
	found := make(map[people.ID]people.Person, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var rows []personRow
	if err := r.with(ctx).Where("id IN ?", texts(ids)).Find(&rows).Error; err != nil {
		return nil, wrap(err, "read people")
	}
	for _, row := range rows {
		found[people.ID(row.ID)] = row.person()
	}
	return found, nil
}

func (r reader) SearchPeople(ctx context.Context, text string, skip []people.ID, limit int) ([]people.Person, error) {
	q := r.with(ctx).Where("active").Where(`search LIKE ? ESCAPE '\'`, contains(text))
	if len(skip) > 0 {
		q = q.Where("id NOT IN ?", texts(skip))
	}
	var rows []personRow
	err := q.Order("name, id").Limit(limit).Find(&rows).Error
	return persons(rows), wrap(err, "search people")
}

func (r reader) Reports(ctx context.Context, manager people.ID, text string, limit int) ([]people.Person, error) {
	var rows []personRow
	err := r.with(ctx).Where("manager = ?", string(manager)).Where("active").Where(`search LIKE ? ESCAPE '\'`, contains(text)).
		Order("name, id").Limit(limit).Find(&rows).Error
	return persons(rows), wrap(err, "search reports")
}

func (t *tx) LockPerson(ctx context.Context, id people.ID) error {
	var row personRow
	q := t.with(ctx).Select("id").Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
	return missing(q.Where("id = ?", string(id)).Take(&row).Error, "person")
}

// contains returns the LIKE pattern of what contains the text, ignoring case.
func contains(text string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text))
	return "%" + escaped + "%"
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

type membershipRow struct {
	Kind     string `gorm:"primaryKey"`
	Name     string `gorm:"primaryKey"`
	Person   string `gorm:"primaryKey"`
	Position int
}

func (membershipRow) TableName() string { return "memberships" }

// The kinds of membership.
const (
	groupMember = "group"
	groupOwner  = "group-owner"
	teamMember  = "team"
)

func (r reader) GroupMembers(ctx context.Context, group string) ([]people.Person, error) {
	return r.members(ctx, groupMember, group)
}

func (r reader) GroupOwners(ctx context.Context, group string) ([]people.Person, error) {
	return r.members(ctx, groupOwner, group)
}

func (r reader) TeamMembers(ctx context.Context, team string) ([]people.Person, error) {
	return r.members(ctx, teamMember, team)
}

func (r reader) members(ctx context.Context, kind, name string) ([]people.Person, error) {
	var rows []personRow
	err := r.with(ctx).Joins("JOIN memberships m ON m.person = people.id").
		Where("m.kind = ? AND m.name = ?", kind, name).Order("m.position").Find(&rows).Error
	return persons(rows), wrap(err, "read members")
}

func (r reader) GroupsOf(ctx context.Context, id people.ID) ([]string, error) {
	return r.namesOf(ctx, groupMember, id)
}

func (r reader) TeamsOf(ctx context.Context, id people.ID) ([]string, error) {
	return r.namesOf(ctx, teamMember, id)
}

func (r reader) SelectorsOf(ctx context.Context, id people.ID) ([]people.Selector, error) {
	var rows []membershipRow
	err := r.with(ctx).Where("person = ?", string(id)).Order("kind, name").Find(&rows).Error
	selectors := make([]people.Selector, len(rows))
	for i, row := range rows {
		selectors[i] = people.Selector{Kind: selectorKinds[row.Kind], Arg: row.Name}
	}
	return selectors, wrap(err, "read memberships")
}

// selectorKinds are the selectors that the kinds of membership make find somebody.
var selectorKinds = map[string]people.SelectorKind{
	groupMember: people.GroupMembers, groupOwner: people.GroupOwners, teamMember: people.TeamMembers,
}

func (r reader) namesOf(ctx context.Context, kind string, id people.ID) ([]string, error) {
	var names []string
	err := r.with(ctx).Model(&membershipRow{}).Where("person = ? AND kind = ?", string(id), kind).
		Order("name").Pluck("name", &names).Error
	return names, wrap(err, "read memberships")
}

func (r reader) memberIDs(ctx context.Context, kind, name string) ([]people.ID, error) {
	var ids []people.ID
	err := r.with(ctx).Model(&membershipRow{}).Where("kind = ? AND name = ?", kind, name).
		Order("position").Pluck("person", &ids).Error
	return ids, wrap(err, "read members")
}

type groupRow struct {
	Name  string `gorm:"primaryKey"`
	Title string
}

func (groupRow) TableName() string { return "people_groups" }

type teamRow struct {
	Name         string `gorm:"primaryKey"`
	Title        string
	Slack        string
	MSTeams      string `gorm:"column:msteams"`
	AssignMode   string
	AssignPerson string
	Private      bool
}

func (teamRow) TableName() string { return "teams" }

func toTeamRow(t people.Team) teamRow {
	return teamRow{
		Name: t.Name, Title: t.Title, Slack: t.Channels[people.Slack], MSTeams: t.Channels[people.Teams],
		AssignMode: string(t.Assign.Mode), AssignPerson: string(t.Assign.Person), Private: t.Private,
	}
}

func (r teamRow) team() people.Team {
	t := people.Team{
		Name: r.Name, Title: r.Title, Channels: map[people.Platform]string{},
		Assign: people.Assign{Mode: people.AssignMode(r.AssignMode), Person: people.ID(r.AssignPerson)}, Private: r.Private,
	}
	for platform, channel := range map[people.Platform]string{people.Slack: r.Slack, people.Teams: r.MSTeams} {
		if channel != "" {
			t.Channels[platform] = channel
		}
	}
	return t
}

func (r reader) Team(ctx context.Context, name string) (people.Team, error) {
	var row teamRow
	err := r.with(ctx).Where("name = ?", name).Take(&row).Error
	return row.team(), missing(err, "team")
}

func (t *tx) SavePerson(ctx context.Context, p people.Person) (bool, error) {
	before, err := t.Person(ctx, p.ID)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	p.Attributes = orEmpty(p.Attributes)
	if err == nil && reflect.DeepEqual(before, p) {
		return false, nil
	}
	return true, t.upsert(ctx, toPersonRow(p), "save person")
}

func (t *tx) SaveGroup(ctx context.Context, g people.Group) (bool, error) {
	changed, err := t.saveIfNew(ctx, &groupRow{}, groupRow{Name: g.Name, Title: g.Title}, g.Name)
	if err != nil {
		return false, err
	}
	for kind, ids := range map[string][]people.ID{groupMember: g.Members, groupOwner: g.Owners} {
		different, err := t.setMembers(ctx, kind, g.Name, ids)
		if err != nil {
			return false, err
		}
		changed = changed || different
	}
	return changed, nil
}

func (t *tx) SaveTeam(ctx context.Context, team people.Team) (bool, error) {
	changed, err := t.saveIfNew(ctx, &teamRow{}, toTeamRow(team), team.Name)
	if err != nil {
		return false, err
	}
	different, err := t.setMembers(ctx, teamMember, team.Name, team.Members)
	return changed || different, err
}

// saveIfNew writes a row that is not there, or not the same, by its name. It
// reads what is there into before.
func (t *tx) saveIfNew(ctx context.Context, before, row any, name string) (bool, error) {
	err := missing(t.with(ctx).Where("name = ?", name).Take(before).Error, "row")
	if err != nil && !isNotFound(err) {
		return false, err
	}
	if err == nil && reflect.DeepEqual(reflect.ValueOf(before).Elem().Interface(), row) {
		return false, nil
	}
	return true, t.upsert(ctx, row, "save "+name)
}

func (t *tx) setMembers(ctx context.Context, kind, name string, ids []people.ID) (bool, error) {
	before, err := t.memberIDs(ctx, kind, name)
	if err != nil {
		return false, err
	}
	if len(before) == len(ids) && (len(ids) == 0 || reflect.DeepEqual(before, ids)) {
		return false, nil
	}
	if err := t.deleteMembers(ctx, kind, name); err != nil {
		return false, err
	}
	rows := make([]membershipRow, len(ids))
	for i, id := range ids {
		rows[i] = membershipRow{Kind: kind, Name: name, Person: string(id), Position: i}
	}
	if len(rows) == 0 {
		return true, nil
	}
	return true, wrap(t.with(ctx).CreateInBatches(rows, 1000).Error, "save members")
}

func (t *tx) deleteMembers(ctx context.Context, kind, name string) error {
	return wrap(t.with(ctx).Where("kind = ? AND name = ?", kind, name).Delete(&membershipRow{}).Error, "save members")
}

// upsert writes a row by its primary key.
func (t *tx) upsert(ctx context.Context, row any, doing string) error {
	// Addressable, so that GORM can take every kind of row.
	p := reflect.New(reflect.TypeOf(row))
	p.Elem().Set(reflect.ValueOf(row))
	err := t.with(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(p.Interface()).Error
	return conflict(err, doing)
}

type accountRow struct {
	Platform  string `gorm:"primaryKey"`
	Workspace string `gorm:"primaryKey"`
	Account   string `gorm:"primaryKey"`
	Person    string
	Email     string
	Checked   time.Time
	Latest    bool
}

func (accountRow) TableName() string { return "accounts" }

func (r accountRow) link() people.Link {
	return people.Link{
		Account: people.Account{Platform: people.Platform(r.Platform), Workspace: r.Workspace, User: r.Account},
		Person:  people.ID(r.Person), Email: r.Email, Checked: r.Checked.UTC(), Latest: r.Latest,
	}
}

func (r reader) account(ctx context.Context, a people.Account) *gorm.DB {
	return r.with(ctx).Where("platform = ? AND workspace = ? AND account = ?", string(a.Platform), a.Workspace, a.User)
}

func (r reader) Link(ctx context.Context, a people.Account) (people.Link, error) {
	var row accountRow
	err := r.account(ctx, a).Take(&row).Error
	return row.link(), missing(err, "account")
}

func (r reader) Links(ctx context.Context, person people.ID, platform people.Platform) ([]people.Link, error) {
	var rows []accountRow
	db := r.with(ctx).Where("person = ?", string(person))
	if platform != "" {
		db = db.Where("platform = ?", string(platform))
	}
	err := db.Order("checked DESC").Find(&rows).Error
	links := make([]people.Link, len(rows))
	for i, row := range rows {
		links[i] = row.link()
	}
	return links, wrap(err, "read accounts")
}

func (t *tx) SaveLink(ctx context.Context, l people.Link) error {
	return t.upsert(ctx, accountRow{
		Platform: string(l.Account.Platform), Workspace: l.Account.Workspace, Account: l.Account.User,
		Person: string(l.Person), Email: l.Email, Checked: l.Checked, Latest: l.Latest,
	}, "save account")
}

func (t *tx) DeleteLink(ctx context.Context, a people.Account) error {
	return wrap(t.account(ctx, a).Delete(&accountRow{}).Error, "delete account")
}

func isNotFound(err error) bool {
	refusal, ok := errs.As(err)
	return ok && refusal.Code == errs.NotFound
}
