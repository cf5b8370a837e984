using System.Runtime.InteropServices;
using Postwright.Core.Posix;
using Postwright.Server.Deliver;
using Postwright.Testing;

namespace Postwright.Server.Tests.Deliver.Local;

public sealed partial class CommandTests : IDisposable
{
    private readonly DeliveryRig _rig = new();

    public CommandTests()
    {
        Assert.SkipUnless(File.Exists(TestPrograms.PathOf("postwright")), "needs the built program, which becomes the command");
    }

    public void Dispose() => _rig.Dispose();

    private string Out(string name) => Path.Combine(_rig.Make("out", 0b111_111_111), name);

    private Task<RecipientResult> Run(string command, string more = "", string address = "cmd@example.com", string content = "Subject: hi\r\n\r\nFrom me\r\n", string sender = "sender@example.org")
        => _rig.Deliver(
            address, content, sender: sender,
            mainCf: $"recipient_delimiter = +\nalias_maps = inline:{{ {{ cmd = \"|{command.Replace("\"", "\\\"", StringComparison.Ordinal).Replace("$", "$$", StringComparison.Ordinal)}\" }} }}\n{more}");

    [Fact]
    public async Task A_command_gets_the_message_its_environment_and_the_least_rights()
    {
        RecipientResult result = await Run(
            $"env > {Out("env")}; cat > {Out("in")}; id -u > {Out("id")}; pwd >> {Out("id")}; umask >> {Out("id")}", address: "Cmd+Ext$@example.com");
        Assert.Equal((DeliveryStatus.Sent, "2.0.0"), (result.Status, result.Dsn));
        Assert.StartsWith("delivered to command: env > ", result.Reason, StringComparison.Ordinal);
        string input = await File.ReadAllTextAsync(Out("in"), TestContext.Current.CancellationToken);
        Assert.StartsWith("From sender@example.org  ", input, StringComparison.Ordinal);
        Assert.EndsWith(
            "\nReturn-Path: <sender@example.org>\nX-Original-To: Cmd+Ext$@example.com\nDelivered-To: Cmd+Ext$@example.com\nSubject: hi\n\nFrom me\n",
            input, StringComparison.Ordinal);
        string[] environment = await File.ReadAllLinesAsync(Out("env"), TestContext.Current.CancellationToken);
        string[] expected =
        [
            "USER=cmd", "LOGNAME=cmd", "LOCAL=cmd+ext_", "EXTENSION=ext_", "DOMAIN=example.com", "RECIPIENT=Cmd+Ext_@example.com",
            "ORIGINAL_RECIPIENT=Cmd+Ext_@example.com", "SENDER=sender@example.org", "CLIENT_HOSTNAME=client.test", "CLIENT_ADDRESS=192.0.2.1",
            "CLIENT_HELO=helo.test", "CLIENT_PROTOCOL=ESMTP", "PATH=/usr/bin:/bin", "ENVID=id+1",
        ];
        Assert.Subset(environment.ToHashSet(), expected.ToHashSet());
        Assert.DoesNotContain(environment, line => line.StartsWith("DOTNET", StringComparison.Ordinal) || line.StartsWith("HOME", StringComparison.Ordinal));
        string[] id = await File.ReadAllLinesAsync(Out("id"), TestContext.Current.CancellationToken);
        Assert.Equal([$"{DeliveryRig.Number(65534)}", _rig.Root, "0077"], id);
    }

    [Theory]
    [InlineData("exit 1", "5.3.0", "Command died with status 1: \"exit 1\"")]
    [InlineData("echo no such user; exit 67", "5.1.1", "user unknown. Command output: no such user ")]
    [InlineData("echo later; exit 75", "4.3.0", "temporary failure. Command output: later ")]
    [InlineData("exit 78", "5.3.5", "local configuration error")]
    [InlineData("kill -9 $$", "4.3.0", "Command died with signal 9: \"kill -9 $$\"")]
    [InlineData("echo 5.7.99 custom text; exit 1", "5.7.99", "custom text ")]
    [InlineData("echo 4.7.99 custom text; exit 1", "4.7.99", "custom text ")]
    [InlineData("/nonexistent/prog arg", "4.3.0", "temporary failure. Command output: local: fatal: execvp /nonexistent/prog: No such file or directory ")]
    [InlineData("nonexistent-prog arg", "5.3.0", "Command died with status 127: \"nonexistent-prog arg\". Command output: sh: 1: nonexistent-prog: not found ")]
    public async Task An_exit_status_has_postfixs_meaning(string command, string dsn, string reason)
    {
        RecipientResult result = await Run(command);
        Assert.Equal((dsn, reason), (result.Dsn, result.Reason));
        Assert.Equal(dsn[0] == '4' ? DeliveryStatus.Deferred : DeliveryStatus.Bounced, result.Status);
    }

    [Fact]
    public async Task A_command_need_not_read_its_input_and_may_say_much()
    {
        string large = "Subject: x\r\n\r\n" + string.Concat(Enumerable.Repeat(new string('x', 998) + "\r\n", 2000));
        Assert.Equal(DeliveryStatus.Sent, (await Run("true", content: large)).Status);
        Assert.Equal(DeliveryStatus.Sent, (await Run("cat; cat /dev/zero | head -c 300000", content: large)).Status);
        Assert.Equal(DeliveryStatus.Sent, (await Run($"cat > {Out("large")}", content: large)).Status);
        Assert.InRange(new FileInfo(Out("large")).Length, 1_998_000, 2_000_000);
    }

    [Fact]
    public async Task A_command_over_its_time_is_ended_with_all_it_started()
    {
        RecipientResult result = await Run("sleep 300 & sleep 300", "command_time_limit = 1s");
        Assert.Equal("5.3.0", result.Dsn);
        Assert.Equal("Command time limit exceeded: \"sleep 300 & sleep 300\"", result.Reason);
    }

    [Fact]
    public async Task A_users_forward_command_runs_as_the_user_with_home_and_shell()
    {
        _rig.Write("alice", ".forward", $"\"|id -u > {Out("id")}; echo $HOME $SHELL $USER >> {Out("id")}\"\n");
        RecipientResult result = await _rig.Deliver("alice@example.com");
        Assert.Equal(DeliveryStatus.Sent, result.Status);
        Assert.Equal(
            [$"{DeliveryRig.Number(1501)}", $"{_rig.HomeOf("alice")} /bin/sh alice"],
            await File.ReadAllLinesAsync(Out("id"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Mailbox_command_takes_the_users_mail()
    {
        RecipientResult result = await _rig.Deliver("alice+x@example.com", mainCf: $"recipient_delimiter = +\nmailbox_command = cat > {Out("box")}-\"$EXTENSION\"");
        Assert.Equal(DeliveryStatus.Sent, result.Status);
        Assert.True(File.Exists(Out("box-x")));
    }

    [Fact]
    public async Task What_a_stranger_writes_is_no_shell_code_and_no_variable()
    {
        RecipientResult result = await Run($"echo \"$SENDER\" > {Out("sender")}", sender: "$(touch /tmp/x);`id`|&\nLD_PRELOAD=x@example.org");
        Assert.Equal(DeliveryStatus.Sent, result.Status);
        Assert.Equal("__touch_/tmp/x___id____LD_PRELOAD=x@example.org", (await File.ReadAllTextAsync(Out("sender"), TestContext.Current.CancellationToken)).TrimEnd('\n'));
    }

    [Fact]
    public async Task A_command_gets_no_descriptor_but_its_three()
    {
        string secret = Path.Combine(_rig.Root, "secret");
        await File.WriteAllTextAsync(secret, "", TestContext.Current.CancellationToken);
        int opened = DeliveryFile.Open(secret, OpenFlags.ReadOnly);
        int inherited = dup(opened); // without close-on-exec
        try
        {
            Assert.Equal(DeliveryStatus.Sent, (await Run($"ls -l /proc/$$/fd > {Out("list")}")).Status);
            string list = await File.ReadAllTextAsync(Out("list"), TestContext.Current.CancellationToken);
            Assert.Contains(" 0 -> ", list, StringComparison.Ordinal);
            Assert.DoesNotContain("secret", list, StringComparison.Ordinal);
            Assert.DoesNotContain("socket:", list, StringComparison.Ordinal);
        }
        finally
        {
            DeliveryFile.Close(opened);
            DeliveryFile.Close(inherited);
        }
    }

    [LibraryImport("libc")]
    private static partial int dup(int descriptor);

    [Fact]
    public async Task Files_that_a_command_writes_have_the_mailboxs_limit()
    {
        RecipientResult result = await Run($"head -c 500000 /dev/zero > {Out("big")}", "mailbox_size_limit = 100000\nmessage_size_limit = 100000");
        Assert.NotEqual(DeliveryStatus.Sent, result.Status);
        Assert.Equal(100_000, new FileInfo(Out("big")).Length);
    }
}
