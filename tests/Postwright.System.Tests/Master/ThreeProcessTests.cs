using System.Diagnostics;
using System.Globalization;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>What root gets: master, mail and agent, on a private configuration; mail is delivered as nobody.</summary>
[Collection("real servers")]
public sealed class ThreeProcessTests : IAsyncDisposable
{
    private readonly ThreeProcesses _three = new();

    public ValueTask DisposeAsync() => _three.DisposeAsync();

    [Fact]
    public async Task Mail_faces_the_network_without_root_and_the_agent_delivers_as_the_mailbox_s_owner()
    {
        await _three.StartAsync();
        Assert.Equal(IdOf("postfix"), OwnerOf(_three.ProcessOf("mail")!.Value));
        Assert.Equal(0u, OwnerOf(_three.ProcessOf("agent")!.Value));
        Assert.Equal(0u, OwnerOf(_three.ProcessOf("master")!.Value));
        await _three.SendAsync("first");
        await _three.MailsAsync(1);
        CommandRun owner = await CommandRun.RunAsync("stat", ["-c", "%u:%g", _three.Mails()[0]]);
        Assert.Equal("65534:65534", owner.Output.Trim());
    }

    [Fact]
    public async Task Who_is_killed_comes_back_and_no_client_is_refused_meanwhile()
    {
        await _three.StartAsync();
        int expected = 0;
        foreach (string role in (string[])["mail", "agent"])
        {
            int before = _three.ProcessOf(role)!.Value;
            Process.GetProcessById(before).Kill();

            // Until then it may still take a connection, and its client with it.
            await ServerInstance.UntilAsync(() => Task.FromResult(ProcessState.HasEnded(before)), () => $"{role} does not end:\n{_three.Log}");

            // Master's sockets stay open: this connects at once and is served when the new process is there.
            await _three.SendAsync($"after {role}");
            await ServerInstance.UntilAsync(() => Task.FromResult(_three.ProcessOf(role) is int now && now != before), () => $"{role} did not come back:\n{_three.Log}");
            await ServerInstance.UntilAsync(
                () => Task.FromResult(_three.Log.Contains($"{role} pid {before} killed by signal 9", StringComparison.Ordinal)), () => $"the log does not say why:\n{_three.Log}");
            expected++;
            await _three.FlushUntilAsync(expected);
        }
    }

    [Fact]
    public async Task A_reload_hands_new_sockets_over_and_closes_those_that_are_gone()
    {
        await _three.StartAsync();
        int mail = _three.ProcessOf("mail")!.Value;
        int port = FreePort.Next();
        _three.WriteMasterCf($"127.0.0.1:{port} inet n - n - - smtpd");
        Assert.Equal(0, (await _three.PostfixAsync("reload")).ExitStatus);
        await ServerInstance.UntilAsync(() => LoopbackPort.IsOpenAsync(port), () => $"nobody listens on the new port:\n{_three.Log}");
        _three.WriteMasterCf("");
        File.Move(Path.Combine(_three.Root, "maillog"), Path.Combine(_three.Root, "maillog.1"));
        Assert.Equal(0, (await _three.PostfixAsync("reload")).ExitStatus);
        await ServerInstance.UntilAsync(async () => !await LoopbackPort.IsOpenAsync(port), () => $"the old port still answers:\n{_three.Log}");
        await _three.SendAsync("into the new log");
        await _three.MailsAsync(1);
        await ServerInstance.UntilAsync(
            () => Task.FromResult(_three.Log.Contains("status=sent", StringComparison.Ordinal)), () => $"the new log has no delivery:\n{_three.Log}");
        Assert.Equal(mail, _three.ProcessOf("mail"));
    }

    [Fact]
    public async Task When_master_is_gone_its_children_end()
    {
        await _three.StartAsync();
        int[] children = [_three.ProcessOf("mail")!.Value, _three.ProcessOf("agent")!.Value];
        int master = _three.ProcessOf("master")!.Value;
        Process.GetProcessById(master).Kill();
        await ServerInstance.UntilAsync(
            () => Task.FromResult(ProcessState.HasEnded(master) && children.All(ProcessState.HasEnded)), () => $"children outlive master:\n{_three.Log}");
        await _three.StartAsync();
    }

    [Fact]
    public async Task Stop_ends_all_three()
    {
        await _three.StartAsync();
        Assert.Equal(0, (await _three.PostfixAsync("stop")).ExitStatus);
        await ServerInstance.UntilAsync(
            () => Task.FromResult(_three.ProcessOf("master") is null && _three.ProcessOf("mail") is null && _three.ProcessOf("agent") is null), () => $"something still runs:\n{_three.Log}");

        // A process that is killed loses its command line first and its locks later.
        await ServerInstance.UntilAsync(async () => (await _three.PostfixAsync("status")).ExitStatus == 1, () => $"it is said to run still:\n{_three.Log}");
    }

    [Fact]
    public async Task The_trampoline_leaves_nothing_of_root()
    {
        CommandRun run = await CommandRun.RunAsync(
            TestPrograms.PathOf("postwright"),
            ["trampoline", "--files", "--user", "65534:65533", "/bin/sh", "sh", "-c", "id -u; id -G; grep ^Uid: /proc/self/status; [ $(ulimit -Sn) = $(ulimit -Hn) ] && echo raised"]);
        Assert.Equal(["65534", "65533", "Uid:\t65534\t65534\t65534\t65534", "raised"], run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static uint OwnerOf(int process) => uint.Parse(
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1],
        CultureInfo.InvariantCulture);

    private static uint IdOf(string user) => uint.Parse(
        File.ReadLines("/etc/passwd").First(line => line.StartsWith(user + ":", StringComparison.Ordinal)).Split(':')[2], CultureInfo.InvariantCulture);
}
