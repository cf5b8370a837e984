using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>alias_maps and virtual_mailbox_maps in a database, where the system runs as root: the agent asks mail, and mail the server.</summary>
[Collection("real servers")]
public sealed class ServerTableTests : IAsyncLifetime
{
    private const string Maps = """
        mydestination = local.test
        local_recipient_maps =
        alias_maps = pgsql:ROOT/etc/aliases.cf
        virtual_mailbox_maps = proxy:pgsql:ROOT/etc/mailboxes.cf
        smtpd_reject_unlisted_recipient = no
        """;

    private ThreeProcesses? _three;
    private PostgresServer? _database;

    private ThreeProcesses Three => _three!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(PostgresServer.Programs is null, "PostgreSQL is not installed");
        _three = new ThreeProcesses(Maps);
        _database = await PostgresServer.MakeAsync("host all all 127.0.0.1/32 scram-sha-256");
        await _database.Server.StartAsync();
        await _database.RunAsync("""
            CREATE USER mail PASSWORD 'secret';
            CREATE TABLE aliases (name text, members text);
            INSERT INTO aliases VALUES ('team', 'you@example.test'), ('root-command', '|touch /tmp/x');
            CREATE TABLE mailboxes (address text, path text);
            INSERT INTO mailboxes VALUES ('you@example.test', 'you/'), ('other@example.test', 'other/');
            GRANT ALL ON aliases, mailboxes TO mail;
            """);
        Configure("aliases", "SELECT members FROM aliases WHERE name = '%s'");
        Configure("mailboxes", "SELECT path FROM mailboxes WHERE address = '%s'");
    }

    public async ValueTask DisposeAsync()
    {
        await (_three?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_database?.DisposeAsync() ?? ValueTask.CompletedTask);
    }

    [Fact]
    public async Task An_alias_expands_and_a_mailbox_is_found_and_who_is_in_neither_bounces()
    {
        await Three.StartAsync();
        CommandRun check = await Three.PostfixAsync("check");
        Assert.Equal((0, ""), (check.ExitStatus, check.Error));
        await Three.SendAsync("by alias", "team@local.test");
        await Three.MailsAsync(1);
        await Three.SendAsync("at once");
        await Three.MailsAsync(2);
        Assert.Equal(ThreeProcesses.Nobody, OwnerOf(Three.Mails()[0]));
        await Three.SendAsync("to nobody", "nosuch@example.test");
        await Three.LoggedAsync("status=bounced (unknown user: \"nosuch@example.test\")");
        await Three.SendAsync("to nobody", "no-such-user-here@local.test");
        await Three.LoggedAsync("status=bounced (unknown user: \"no-such-user-here\")");
        Assert.DoesNotContain("warning:", Three.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_down_or_slow_defers_and_the_next_attempt_delivers()
    {
        Three.WriteMainCf(Maps.Replace(".cf\n", ".cf{timeout=2s}\n", StringComparison.Ordinal));
        await Three.StartAsync();
        await _database!.Server.StopAsync("INT");
        await Three.SendAsync("while it is down", "team@local.test");
        await Three.SendAsync("while it is down");
        await Three.LoggedAsync("status=deferred (alias database unavailable)");
        await Three.LoggedAsync("status=deferred (mail system configuration error)");
        await _database.Server.StartAsync();
        await Three.FlushUntilAsync(2);

        await _database.Server.SuspendAsync();
        int deferred = Three.Log.Split("status=deferred").Length - 1;
        int tooLate = TooLate();
        await Three.SendAsync("while it is slow", "team@local.test");
        await Three.SendAsync("while it is slow");
        await Three.LoggedAsync("status=deferred", deferred + 2);
        Assert.Equal(tooLate + 2, TooLate());
        await _database.Server.ResumeAsync();
        await Three.FlushUntilAsync(4);
        Assert.DoesNotContain("status=bounced", Three.Log, StringComparison.Ordinal);

        int TooLate() => Three.Log.Split('\n').Count(static line => line.Contains("/proxymap[", StringComparison.Ordinal) && line.EndsWith("no answer within 2 s", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_command_from_a_server_is_not_run()
    {
        await Three.StartAsync();
        await Three.SendAsync("danger", "root-command@local.test");
        await Three.LoggedAsync("commands, files and includes are not allowed here");
        await Three.LoggedAsync("status=deferred (alias database unavailable)");
    }

    [Fact]
    public async Task After_a_reload_the_new_tables_are_asked()
    {
        await Three.StartAsync();
        await Three.SendAsync("before", "team@local.test");
        await Three.MailsAsync(1);
        Configure("others", "SELECT 'other@example.test' WHERE '%s' = 'team'");
        Three.WriteMainCf(Maps.Replace("pgsql:ROOT/etc/aliases.cf", "unionmap:{pgsql:ROOT/etc/others.cf, inline:{x=y}}", StringComparison.Ordinal));
        Assert.Equal(0, (await Three.PostfixAsync("reload")).ExitStatus);

        // Until both processes have read it, the old table still counts.
        await ServerInstance.UntilAsync(
            async () =>
            {
                await Three.SendAsync("after", "team@local.test");
                return Three.Mails("other").Count > 0;
            },
            () => $"the new table is not asked:\n{Three.Log}");
    }

    [Fact]
    public async Task A_mail_process_that_is_killed_while_it_is_asked_costs_nothing_but_time()
    {
        await Three.StartAsync();
        await _database!.Server.SuspendAsync();
        await Three.SendAsync("killed", "team@local.test");
        await ServerInstance.UntilAsync(() => Task.FromResult(Three.Log.Contains(" from=<friend@example.org>", StringComparison.Ordinal)), () => Three.Log);
        int mail = Three.ProcessOf("mail")!.Value;
        global::System.Diagnostics.Process.GetProcessById(mail).Kill();
        await _database.Server.ResumeAsync();
        await ServerInstance.UntilAsync(() => Task.FromResult(Three.ProcessOf("mail") is int now && now != mail), () => Three.Log);
        await Three.FlushUntilAsync(1);
        Assert.DoesNotContain("status=bounced", Three.Log, StringComparison.Ordinal);
    }

    private static uint OwnerOf(string file) => Postwright.Core.Posix.DeliveryFile.Stat(file, out Postwright.Core.Posix.FileFacts facts) < 0 ? 0 : facts.Uid;

    private void Configure(string name, string query) => File.WriteAllText(
        Path.Combine(Three.ConfigDirectory, name + ".cf"),
        $"hosts = 127.0.0.1:{_database!.Port}\nuser = mail\npassword = secret\ndbname = postgres\nquery = {query}\nretry_interval = 1\n");
}
