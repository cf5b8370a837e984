using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

[Collection("real servers")]
public sealed class PostfixCommandTests
{
    [Fact]
    public async Task A_stopped_system_says_so_and_can_neither_be_stopped_nor_reloaded()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        CommandRun status = await server.RunAsync("postfix", ["status"]);
        Assert.Equal(1, status.ExitStatus);
        Assert.Contains("postfix/postfix-script: the Postfix mail system is not running\n", status.Error, StringComparison.Ordinal);
        foreach (string command in (string[])["stop", "abort", "reload"])
        {
            CommandRun run = await server.RunAsync("postfix", [command]);
            Assert.Equal(1, run.ExitStatus);
            Assert.Contains("postfix/postfix-script: fatal: the Postfix mail system is not running\n", run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_running_system_is_found_and_refuses_a_second_start_and_stops()
    {
        await using ServerInstance server = await ServerInstance.StartAsync();
        CommandRun status = await server.RunAsync("postfix", ["status"]);
        Assert.Equal(0, status.ExitStatus);
        Assert.Contains("the Postfix mail system is running: PID: ", status.Error, StringComparison.Ordinal);
        foreach (string command in (string[])["start", "start-fg"])
        {
            CommandRun again = await server.RunAsync("postfix", [command]);
            Assert.Equal(1, again.ExitStatus);
            Assert.Contains("postfix/postfix-script: fatal: the Postfix mail system is already running\n", again.Error, StringComparison.Ordinal);
        }

        await server.StopAsync();
        Assert.Equal(1, (await server.RunAsync("postfix", ["status"])).ExitStatus);
        Assert.Contains("postfix/master[", server.Log, StringComparison.Ordinal);
        Assert.Contains("daemon started -- version 3.11.6, configuration ", server.Log, StringComparison.Ordinal);
        Assert.Contains("terminating on signal 15", server.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_goes_to_the_background_and_serves_when_it_returns()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        CommandRun start = await server.RunAsync("postfix", ["start"]);
        try
        {
            Assert.True(start.ExitStatus == 0, start.Error + server.Log);
            Assert.Contains("postfix/postfix-script: starting the Postfix mail system\n", start.Error, StringComparison.Ordinal);
            await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
            Assert.StartsWith("220 ", client.Greeting, StringComparison.Ordinal);
        }
        finally
        {
            await server.RunAsync("postfix", ["stop"]);
        }
    }

    [Fact]
    public async Task A_start_that_fails_says_so_and_leaves_nothing_behind()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(rows: "192.0.2.77:25 inet n - n - - smtpd", start: false);
        CommandRun start = await server.RunAsync("postfix", ["start"]);
        Assert.Equal(1, start.ExitStatus);
        Assert.Contains("postfix/postfix-script: fatal: mail system startup failed\n", start.Error, StringComparison.Ordinal);
        Assert.Contains("fatal: bind 192.0.2.77 port 25: Cannot assign requested address", server.Log, StringComparison.Ordinal);
        Assert.Equal(1, (await server.RunAsync("postfix", ["status"])).ExitStatus);
    }

    [Fact]
    public async Task A_reload_is_for_new_sessions_and_the_running_one_keeps_its_settings()
    {
        await using ServerInstance server = await ServerInstance.StartAsync();
        await using SmtpTestClient old = await SmtpTestClient.ConnectAsync(server.Port);
        Assert.Contains("mail.example.test", old.Greeting, StringComparison.Ordinal);
        await File.AppendAllTextAsync(
            Path.Combine(server.ConfigDirectory, "main.cf"), "\nmyhostname = other.example.test\n", TestContext.Current.CancellationToken);
        Assert.Equal(0, (await server.RunAsync("postfix", ["reload"])).ExitStatus);
        await server.LoggedAsync("reload -- version 3.11.6");
        await ServerInstance.UntilAsync(
            async () =>
            {
                await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
                return client.Greeting.Contains("other.example.test", StringComparison.Ordinal);
            },
            () => $"new sessions never had the new name:\n{server.Log}");
        Assert.StartsWith("250 mail.example.test", await old.AskAsync("HELO client.example"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_configuration_stops_start_and_every_error_is_shown()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(
            "smtpd_milters = inet:127.0.0.1:1\ncontent_filter = scan:", "bad unix - - n - - nosuchcommand", start: false);
        foreach (string command in (string[])["check", "start", "start-fg"])
        {
            CommandRun run = await server.RunAsync("postfix", [command]);
            Assert.Equal(1, run.ExitStatus);
            Assert.Contains("smtpd_milters", run.Error, StringComparison.Ordinal);
            Assert.Contains("content_filter", run.Error, StringComparison.Ordinal);
            Assert.Contains("nosuchcommand", run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Check_makes_what_is_missing_and_warns_of_modes()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        Assert.Equal(0, (await server.RunAsync("postfix", ["check"])).ExitStatus);
        string pid = Path.Combine(server.QueueDirectory, "pid");
        Assert.True(Directory.Exists(pid));
        File.SetUnixFileMode(pid, (UnixFileMode)0b111_111_111);
        CommandRun check = await server.RunAsync("postfix", ["check"]);
        Assert.Equal(0, check.ExitStatus);
        Assert.Contains($"postfix/postfix-script: warning: group or other writable: {pid}\n", check.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await server.RunAsync("postfix", ["set-permissions"])).ExitStatus);
        Assert.DoesNotContain(pid, (await server.RunAsync("postfix", ["check"])).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logrotate_compresses_the_old_log_and_goes_on_in_a_new_one()
    {
        await using ServerInstance server = await ServerInstance.StartAsync();
        CommandRun rotate = await server.RunAsync("postfix", ["logrotate"]);
        Assert.True(rotate.ExitStatus == 0, rotate.Error);
        Assert.Single(Directory.GetFiles(server.Root, "maillog.*.gz"));
        await using (SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port))
        {
            await client.AskAsync("QUIT");
        }

        await server.LoggedAsync("disconnect from");
    }

    [Theory]
    [InlineData("2", true)]
    [InlineData("3.5", true)]
    [InlineData("3.6", false)]
    [InlineData("3.10", false)]
    public async Task Each_command_reminds_in_the_log_of_defaults_of_an_older_release(string level, bool reminds)
    {
        string[] reminder =
        [
            "Postfix is using backwards-compatible default settings", "See http://www.postfix.org/COMPATIBILITY_README.html for details",
            "To disable backwards compatibility use \"postconf compatibility_level=3.6\" and \"postfix reload\"",
        ];
        await using ServerInstance server = await ServerInstance.StartAsync($"compatibility_level = {level}", start: false);
        foreach (string command in (string[])["check", "reload", "status"])
        {
            Assert.DoesNotContain(reminder[0], (await server.RunAsync("postfix", [command])).Error, StringComparison.Ordinal);
        }

        string[] expected = reminds ? [.. reminder, .. reminder, .. reminder] : [];
        Assert.Equal(expected, server.Log.Split('\n').Where(line => line.Contains(" postfix[", StringComparison.Ordinal)).Select(line => line[(line.IndexOf("]: ", StringComparison.Ordinal) + 3)..]));
    }

    [Fact]
    public async Task Wrong_use_ends_with_1_and_says_how()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        CommandRun unknown = await server.RunAsync("postfix", ["begin"]);
        Assert.Equal(1, unknown.ExitStatus);
        Assert.Contains("fatal: unknown command: 'begin'. Usage: postfix start (or stop, ", unknown.Error, StringComparison.Ordinal);
        CommandRun none = await CommandRun.RunAsync(TestPrograms.PathOf("postfix"), ["-c", "/nonexistent", "status"]);
        Assert.Equal(1, none.ExitStatus);
        Assert.Equal("postfix: fatal: open /nonexistent/main.cf: No such file or directory\n", none.Error);
        CommandRun nothing = await CommandRun.RunAsync(TestPrograms.PathOf("postfix"), []);
        Assert.Equal(1, nothing.ExitStatus);
        Assert.StartsWith("postfix: fatal: usage: postfix", nothing.Error, StringComparison.Ordinal);
    }
}
