-- pgqrs: roles for those who work with a queue and should do no more than their part.
--
--   pgqrs_producer  enqueues, and nothing else
--   pgqrs_consumer  leases and settles what it has leased; sees how many messages there are
--   pgqrs_operator  creates, purges, deletes and counts queues, and reads everything
--
-- All three see which queues there are. They are groups, without a login, of the whole cluster
-- and for every queue of the schema: GRANT pgqrs_producer TO web;
--
-- To be run after schema.sql (or PgStore::install()) by the owner of what that has made, with the
-- same search_path:
--   psql -v ON_ERROR_STOP=1 -f roles.sql
-- As often as you like: it takes back what the three roles and PUBLIC have, and gives what is
-- written here. Again after each new version of the schema. Who may not create roles has somebody
-- else create the three beforehand.
--
-- The functions become SECURITY DEFINER: they do their work with their owner's rights, so the
-- roles need none on the tables. That owner is best a role that owns nothing else, and the schema
-- one of its own: nobody else may create in it (this file refuses to go on while anybody may), as a
-- function with the name of one of PostgreSQL's can be called in its place, with the owner's
-- rights. What others have created there before is not looked for.

DO $$
DECLARE
    _role text;
BEGIN
    FOREACH _role IN ARRAY ARRAY['pgqrs_producer', 'pgqrs_consumer', 'pgqrs_operator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = _role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', _role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- somebody else just has
            END;
        END IF;
    END LOOP;
END
$$;

-- One statement, so all of it or nothing.
DO $$
DECLARE
    _all constant text := 'pgqrs_producer, pgqrs_consumer, pgqrs_operator';
    _schema constant text := current_schema();
    _namespace oid;
    _table record;
    _function record;
    _grantees text;
    _creators text;
BEGIN
    IF _schema IS NULL OR to_regprocedure(format('%I.pgqrs_schema_version()', _schema)) IS NULL THEN
        RAISE EXCEPTION 'pgqrs is not installed in schema %', coalesce(_schema, '(none)')
            USING HINT = 'Set the search_path to the schema that it is installed in.';
    END IF;
    _namespace := quote_ident(_schema)::regnamespace;

    -- Who creates a function in the schema can have it called by ours, with their owner's rights: it is
    -- preferred to one of PostgreSQL's if its arguments fit better, as unnest(json[]) to unnest(anyarray).
    -- In a schema named public every role may, where the cluster is or was one of PostgreSQL 14.
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %s', _schema, _all);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', _schema, _all);
    -- If the schema is somebody else's, neither of the two did anything. And what other roles have
    -- is not ours to take: they may need it. Its owner is one of them.
    SELECT string_agg(DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, ', ')
    INTO _creators
    FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a,
         LATERAL (SELECT CASE WHEN a.grantee = to_regrole('pg_database_owner') THEN
                                  (SELECT datdba FROM pg_database WHERE datname = current_database())
                              ELSE a.grantee END) g (grantee)
    WHERE n.oid = _namespace AND a.privilege_type = 'CREATE'
      AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.grantee AND r.rolsuper)
      AND g.grantee <> (SELECT proowner FROM pg_proc
                        WHERE oid = to_regprocedure(format('%I.pgqrs_schema_version()', _schema)));
    IF _creators IS NOT NULL THEN
        RAISE EXCEPTION '% may create in schema %, so its functions must not get their owner''s rights',
            _creators, _schema
            USING HINT = format('Have its owner REVOKE CREATE ON SCHEMA %I FROM %s; or give the schema to the '
                                'functions'' owner, if it is somebody else''s.', _schema, _creators);
    ELSIF NOT (has_schema_privilege('pgqrs_producer', _namespace, 'USAGE')
               AND has_schema_privilege('pgqrs_consumer', _namespace, 'USAGE')
               AND has_schema_privilege('pgqrs_operator', _namespace, 'USAGE')) THEN
        RAISE EXCEPTION 'the roles may not use schema %', _schema
            USING HINT = format('Have its owner GRANT USAGE ON SCHEMA %I TO %s.', _schema, _all);
    END IF;

    -- The tables and the views.
    FOR _table IN
        SELECT c.oid::regclass AS name, c.relkind = 'r' AS has_rows
        FROM pg_class c
        WHERE c.relnamespace = _namespace AND starts_with(c.relname, 'pgqrs_') AND c.relkind IN ('r', 'v')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, %s', _table.name, _all);
        EXECUTE format('GRANT SELECT ON %s TO pgqrs_operator', _table.name);
        IF _table.has_rows THEN
            EXECUTE format('GRANT DELETE ON %s TO pgqrs_operator', _table.name); -- to purge
        END IF;
    END LOOP;
    EXECUTE format('GRANT SELECT ON %I.pgqrs_queues TO %s', _schema, _all);
    EXECUTE format('GRANT INSERT (name) ON %I.pgqrs_queues TO pgqrs_operator', _schema);
    -- To count: a pool that runs until its queues are empty asks.
    EXECUTE format('GRANT SELECT (queue_id, vt) ON %1$I.pgqrs_live, %1$I.pgqrs_scheduled TO pgqrs_consumer',
                   _schema);
    EXECUTE format('GRANT SELECT (queue_id) ON %1$I.pgqrs_done, %1$I.pgqrs_dead TO pgqrs_consumer', _schema);

    -- The functions. By default, PUBLIC may call them all. What is not named here is for the
    -- others to call, and needs no rights but theirs.
    FOR _function IN
        SELECT p.oid::regprocedure AS signature, p.proname AS name,
               -- Where the search_path is the caller's, so would be what is found by it.
               EXISTS (SELECT FROM unnest(p.proconfig) setting WHERE starts_with(setting, 'search_path='))
                   AS is_safe
        FROM pg_proc p
        WHERE p.pronamespace = _namespace AND starts_with(p.proname, 'pgqrs_') AND p.prokind = 'f'
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, %s', _function.signature, _all);
        EXECUTE format('ALTER FUNCTION %s SECURITY %s', _function.signature,
                       CASE WHEN _function.is_safe THEN 'DEFINER' ELSE 'INVOKER' END);
        _grantees := CASE
            WHEN _function.name = 'pgqrs_schema_version' THEN _all -- what every client asks first
            WHEN starts_with(_function.name, 'pgqrs_enqueue') THEN 'pgqrs_producer'
            WHEN _function.name IN (
                'pgqrs_register_worker', 'pgqrs_dequeue', 'pgqrs_extend_visibility',
                'pgqrs_archive', 'pgqrs_delete', 'pgqrs_release', 'pgqrs_dead_letter',
                'pgqrs_wait', 'pgqrs_upcoming', 'pgqrs_wait_no_more') THEN 'pgqrs_consumer'
        END;
        IF _grantees IS NOT NULL THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', _function.signature, _grantees);
        END IF;
    END LOOP;
END
$$;
