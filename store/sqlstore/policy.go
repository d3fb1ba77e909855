package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/people"
)

func (r reader) Names(ctx context.Context) (core.Names, error) {
	names := core.Names{
		People: map[string]people.ID{}, Groups: map[string]bool{}, Teams: map[string]bool{},
		Sequences: map[string]bool{}, Resources: map[string][]string{},
	}
	var persons []personRow
	if err := r.with(ctx).Select("id", "email").Find(&persons).Error; err != nil {
		return names, wrap(err, "read people")
	}
	for _, row := range persons {
		names.People[row.Email] = people.ID(row.ID)
	}
	for model, set := range map[any]map[string]bool{&groupRow{}: names.Groups, &teamRow{}: names.Teams, &sequenceRow{}: names.Sequences} {
		var found []string
		if err := r.with(ctx).Model(model).Pluck("name", &found).Error; err != nil {
			return names, wrap(err, "read names")
		}
		for _, name := range found {
			set[name] = true
		}
	}
	var resources []resourceRow
	if err := r.with(ctx).Select("name", "levels").Find(&resources).Error; err != nil {
		return names, wrap(err, "read resources")
	}
	for _, row := range resources {
		names.Resources[row.Name] = row.thing().LevelNames()
	}
	return names, nil
}

func (r reader) Policy(ctx context.Context) (core.Policy, error) {
	var p core.Policy
	emails, err := r.policyPeople(ctx, &p)
	if err != nil {
		return p, err
	}
	if err := r.policyGroupsAndTeams(ctx, &p, emails); err != nil {
		return p, err
	}
	byName := func() *gorm.DB { return r.with(ctx).Order("name") }
	if p.Resources, err = all[resourceRow](byName(), "resources"); err != nil {
		return p, err
	}
	if p.Sequences, err = all[sequenceRow](byName(), "sequences"); err != nil {
		return p, err
	}
	if p.Conditions, err = r.Conditions(ctx); err != nil {
		return p, err
	}
	if p.Conflicts, err = all[conflictRow](byName(), "conflicts"); err != nil {
		return p, err
	}
	if p.RequestTypes, err = all[requestTypeRow](byName(), "request types"); err != nil {
		return p, err
	}
	settings, err := r.Settings(ctx)
	p.Settings = &settings
	return p, err
}

// policyPeople reads everybody, and returns their addresses.
func (r reader) policyPeople(ctx context.Context, p *core.Policy) (map[string]string, error) {
	var rows []personRow
	if err := r.with(ctx).Order("email").Find(&rows).Error; err != nil {
		return nil, wrap(err, "read people")
	}
	emails := make(map[string]string, len(rows))
	for _, row := range rows {
		emails[row.ID] = row.Email
	}
	for _, row := range rows {
		p.People = append(p.People, core.PolicyPerson{
			Email: row.Email, Name: row.Name, Title: row.Title, Manager: emails[row.Manager],
			Active: row.Active, Attributes: row.Attributes,
		})
	}
	return emails, nil
}

func (r reader) policyGroupsAndTeams(ctx context.Context, p *core.Policy, emails map[string]string) error {
	var memberships []membershipRow
	if err := r.with(ctx).Order("kind, name, position").Find(&memberships).Error; err != nil {
		return wrap(err, "read members")
	}
	members := map[[2]string][]string{} // addresses by kind and name
	for _, m := range memberships {
		at := [2]string{m.Kind, m.Name}
		members[at] = append(members[at], emails[m.Person])
	}
	var groups []groupRow
	if err := r.with(ctx).Order("name").Find(&groups).Error; err != nil {
		return wrap(err, "read groups")
	}
	for _, g := range groups {
		p.Groups = append(p.Groups, core.PolicyGroup{
			Name: g.Name, Title: g.Title, Members: members[[2]string{groupMember, g.Name}], Owners: members[[2]string{groupOwner, g.Name}],
		})
	}
	var teams []teamRow
	if err := r.with(ctx).Order("name").Find(&teams).Error; err != nil {
		return wrap(err, "read teams")
	}
	for _, t := range teams {
		assign := t.AssignMode
		if assign == string(people.AssignPerson) {
			assign = emails[t.AssignPerson]
		}
		p.Teams = append(p.Teams, core.PolicyTeam{
			Name: t.Name, Title: t.Title, Members: members[[2]string{teamMember, t.Name}],
			Slack: t.Slack, Teams: t.MSTeams, Assign: assign, Private: t.Private,
		})
	}
	return nil
}
