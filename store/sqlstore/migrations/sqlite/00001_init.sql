-- +goose Up
CREATE TABLE people (
    id         text PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    name       text NOT NULL,
    title      text NOT NULL,
    manager    text NOT NULL,
    active     boolean NOT NULL,
    attributes text NOT NULL,
    search     text NOT NULL
);
CREATE INDEX people_manager ON people (manager);

CREATE TABLE people_groups (
    name  text PRIMARY KEY,
    title text NOT NULL
);

-- A group has members and owners, a team has members; position keeps their order.
CREATE TABLE memberships (
    kind     text NOT NULL,
    name     text NOT NULL,
    person   text NOT NULL,
    position integer NOT NULL,
    PRIMARY KEY (kind, name, person)
);
CREATE INDEX memberships_person ON memberships (person, kind);

CREATE TABLE teams (
    name          text PRIMARY KEY,
    title         text NOT NULL,
    slack         text NOT NULL,
    msteams       text NOT NULL,
    assign_mode   text NOT NULL,
    assign_person text NOT NULL,
    private       boolean NOT NULL,
    turn          bigint NOT NULL DEFAULT 0
);

CREATE TABLE request_types (
    name        text PRIMARY KEY,
    title       text NOT NULL,
    description text NOT NULL,
    team        text NOT NULL,
    requesters  text NOT NULL,
    published   boolean NOT NULL,
    by_hand     boolean NOT NULL,
    flow        text NOT NULL,
    revision    text NOT NULL,
    search      text NOT NULL
);

-- Lists and what may be absent are null where there is nothing.
CREATE TABLE resources (
    name         text PRIMARY KEY,
    title        text NOT NULL,
    kind         text NOT NULL,
    description  text NOT NULL,
    owners       text,
    on_behalf_of text NOT NULL,
    labels       text,
    break_glass  text,
    levels       text,
    search       text NOT NULL
);

CREATE INDEX resources_title ON resources (title, name);

-- Whom the owners of resources are found by: kinds of selectors and their arguments.
CREATE TABLE resource_owners (
    kind     text NOT NULL,
    arg      text NOT NULL,
    resource text NOT NULL,
    PRIMARY KEY (kind, arg, resource)
);
CREATE INDEX resource_owners_resource ON resource_owners (resource);

CREATE TABLE sequences (
    name     text PRIMARY KEY,
    title    text NOT NULL,
    flow     text NOT NULL,
    revision text NOT NULL
);
CREATE INDEX sequences_title ON sequences (title, name);

CREATE TABLE conditions (
    name            text PRIMARY KEY,
    resource        text NOT NULL,
    priority        integer NOT NULL,
    requesters      text NOT NULL,
    levels          text,
    duration        text NOT NULL,
    extensions      integer NOT NULL,
    scheduled_start boolean NOT NULL,
    sequence        text NOT NULL,
    enabled         boolean NOT NULL,
    invalid         text NOT NULL -- what it points at that is gone
);
CREATE INDEX conditions_resource ON conditions (resource, priority, name);
CREATE INDEX conditions_sequence ON conditions (sequence, name);

-- Who may ask for what: of a request type that is published, and of a resource
-- by its conditions that are enabled and valid, and by its break-glass.
CREATE TABLE audiences (
    thing   text NOT NULL, -- request-type, resource
    name    text NOT NULL,
    subject text NOT NULL, -- everyone, group, team, rule
    value   text NOT NULL,
    PRIMARY KEY (thing, name, subject, value)
);
CREATE INDEX audiences_subject ON audiences (subject, value, thing, name);

CREATE TABLE conflicts (
    name     text PRIMARY KEY,
    levels   text NOT NULL,
    rule     text NOT NULL,
    sequence text NOT NULL
);

CREATE TABLE conflict_levels (
    conflict text NOT NULL,
    resource text NOT NULL,
    level    text NOT NULL,
    PRIMARY KEY (resource, level, conflict)
);

CREATE TABLE settings (
    id    integer PRIMARY KEY CHECK (id = 1),
    value text NOT NULL
);

CREATE TABLE accounts (
    platform  text NOT NULL,
    workspace text NOT NULL,
    account   text NOT NULL,
    person    text NOT NULL,
    email     text NOT NULL,
    checked   timestamp NOT NULL,
    latest    boolean NOT NULL,
    PRIMARY KEY (platform, workspace, account)
);
CREATE INDEX accounts_person ON accounts (person, platform);

-- The flow never changes, so it has a column of its own.
CREATE TABLE requests (
    id         integer PRIMARY KEY AUTOINCREMENT,
    key        text NOT NULL UNIQUE,
    type       text NOT NULL,
    title      text NOT NULL,
    team       text NOT NULL,
    requester  text NOT NULL,
    creator    text NOT NULL,
    assignee   text NOT NULL,
    resource   text NOT NULL, -- empty: the request is of a request type
    access     text NOT NULL,
    followers  text NOT NULL,
    pending    boolean NOT NULL,
    unassigned boolean NOT NULL, -- an open step lacks somebody
    flow       text NOT NULL,
    run        text NOT NULL,
    version    bigint NOT NULL,
    chain_seq  bigint NOT NULL,
    chain_hash text NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL
);
CREATE INDEX requests_mine ON requests (requester, id) WHERE pending;
CREATE INDEX requests_mine_ended ON requests (requester, id) WHERE NOT pending;
CREATE INDEX requests_team ON requests (team, id) WHERE pending;
CREATE INDEX requests_team_ended ON requests (team, id) WHERE NOT pending;
CREATE INDEX requests_unassigned ON requests (team, id) WHERE unassigned;
CREATE INDEX requests_assignee ON requests (assignee, team, id) WHERE pending;

CREATE TABLE asked (
    request bigint NOT NULL,
    step    text NOT NULL,
    person  text NOT NULL,
    kind    text NOT NULL,
    PRIMARY KEY (request, step, person)
);
CREATE INDEX asked_person ON asked (person, request);

-- Who follows which request.
CREATE TABLE followers (
    person  text NOT NULL,
    request integer NOT NULL,
    PRIMARY KEY (person, request)
);
CREATE INDEX followers_request ON followers (request);

-- A grant has its request's number. Its place among others has columns; the
-- rest of it is in detail.
CREATE TABLE grants (
    id       integer PRIMARY KEY,
    holder   text NOT NULL,
    resource text NOT NULL,
    level    text NOT NULL,
    state    text NOT NULL,
    live     boolean NOT NULL,
    ends     timestamp, -- null: no end, or not started yet
    due      timestamp, -- when it is tended next; null: never
    detail   text NOT NULL,
    version  bigint NOT NULL
);
CREATE INDEX grants_holder ON grants (holder, id) WHERE live;
CREATE INDEX grants_holder_ended ON grants (holder, id) WHERE NOT live;
CREATE INDEX grants_resource ON grants (resource, id) WHERE live;
CREATE INDEX grants_due ON grants (due) WHERE due IS NOT NULL;

-- Who is to do by hand what a grant waits for.
CREATE TABLE grants_asked (
    id     bigint NOT NULL, -- the grant's
    person text NOT NULL,
    PRIMARY KEY (id, person)
);
CREATE INDEX grants_asked_person ON grants_asked (person, id);

CREATE TABLE audit_events (
    chain  text NOT NULL,
    seq    bigint NOT NULL,
    at     timestamp NOT NULL,
    actor  text NOT NULL,
    via    text NOT NULL,
    kind   text NOT NULL,
    step   text NOT NULL,
    people text NOT NULL,
    note   text NOT NULL,
    hash   text NOT NULL,
    PRIMARY KEY (chain, seq)
);

CREATE TABLE postings (
    id       text PRIMARY KEY,
    request  bigint NOT NULL,
    kind     text NOT NULL,
    step     text NOT NULL,
    person   text NOT NULL,
    platform text NOT NULL,
    copy     text NOT NULL,
    channel  text NOT NULL,
    message  text NOT NULL,
    shown    text NOT NULL,
    failed   text NOT NULL,
    leased   bigint NOT NULL, -- microseconds since 1970
    UNIQUE (request, kind, step, person, platform, copy)
);
CREATE INDEX postings_failed ON postings (person, platform, request) WHERE failed <> '';

-- Where a platform lets usher talk: to an account, or (without a member) into a channel.
CREATE TABLE places (
    platform     text NOT NULL,
    workspace    text NOT NULL,
    subject      text NOT NULL,
    member       text NOT NULL,
    conversation text NOT NULL,
    via          text NOT NULL,
    service      text NOT NULL,
    bot          text NOT NULL,
    closed       text NOT NULL,
    PRIMARY KEY (platform, workspace, subject)
);
CREATE INDEX places_conversation ON places (conversation, platform);

-- Who may act in a person's place; times are microseconds since 1970, 0 is no end.
CREATE TABLE delegations (
    person   text PRIMARY KEY,
    delegate text NOT NULL,
    starts   bigint NOT NULL,
    ends     bigint NOT NULL,
    note     text NOT NULL
);
CREATE INDEX delegations_delegate ON delegations (delegate);

-- Decisions by rules that may decide a number of times only; a rule's row is
-- locked while it counts.
CREATE TABLE auto_rules (
    rule text PRIMARY KEY
);
CREATE TABLE auto_decisions (
    id   integer PRIMARY KEY AUTOINCREMENT,
    rule text NOT NULL,
    at   bigint NOT NULL
);
CREATE INDEX auto_decisions_rule ON auto_decisions (rule, at);

-- +goose Down
DROP TABLE auto_decisions;
DROP TABLE auto_rules;
DROP TABLE delegations;
DROP TABLE places;
DROP TABLE postings;
DROP TABLE audit_events;
DROP TABLE grants_asked;
DROP TABLE grants;
DROP TABLE asked;
DROP TABLE requests;
DROP TABLE accounts;
DROP TABLE settings;
DROP TABLE conflict_levels;
DROP TABLE conflicts;
DROP TABLE audiences;
DROP TABLE conditions;
DROP TABLE sequences;
DROP TABLE resources;
DROP TABLE request_types;
DROP TABLE teams;
DROP TABLE memberships;
DROP TABLE people_groups;
DROP TABLE people;
