using System.Diagnostics;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Clients;

/// <summary>Servers that our smtp transport delivers to: smtp-sink, and a Postfix that passes on what it took.</summary>
[Collection("real servers")]
public sealed class ReceiverTests
{
    private const string Body = ".\n..\n.dot\ntrailing blanks  \nlast\n";

    [Fact]
    public async Task Smtp_sink_takes_what_the_smtp_transport_sends()
    {
        string? program = InstalledProgram.Find("smtp-sink");
        Assert.SkipWhen(program is null, "smtp-sink is not installed");
        string folder = Directory.CreateTempSubdirectory("postwright-sink-").FullName;
        File.SetUnixFileMode(folder, (UnixFileMode)0b111_111_111);
        int port = FreePort.Next();
        string[] user = Environment.IsPrivilegedProcess ? ["-u", "nobody"] : [];
        using Process sink = Process.Start(new ProcessStartInfo(program, [.. user, "-d", folder + "/mail.", $"127.0.0.1:{port}", "100"]))!;
        try
        {
            await ServerInstance.UntilAsync(() => LoopbackPort.IsOpenAsync(port), () => "smtp-sink does not listen");
            await using ServerInstance server = await ServerInstance.StartAsync($"relayhost = [127.0.0.1]:{port}");
            await SendAsync(server, 5);
            await ServerInstance.UntilAsync(() => Task.FromResult(Count(server.Log, "status=sent") == 5), () => server.Log);
            string[] mails = [];
            await ServerInstance.UntilAsync(() =>
            {
                mails = [.. Directory.GetFiles(folder).Select(File.ReadAllText).Where(static mail => mail.ReplaceLineEndings("\n").Contains("\n\n" + Body, StringComparison.Ordinal))];
                return Task.FromResult(mails.Length == 5);
            }, () => string.Join("\n--\n", mails));
            Assert.All(mails, static mail =>
            {
                Assert.Contains("X-Rcpt-Args: <far@far.example>", mail, StringComparison.Ordinal);
                Assert.Contains("X-Mail-Args: <a@example.org>", mail, StringComparison.Ordinal);
                Assert.Contains("Subject: number ", mail, StringComparison.Ordinal);
            });
        }
        finally
        {
            sink.Kill(entireProcessTree: true);
            await sink.WaitForExitAsync(TestContext.Current.CancellationToken);
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Postfix_takes_what_the_smtp_transport_sends_and_passes_it_on_unchanged()
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        await using MailSink sink = new();
        await using PostfixInstance postfix = await PostfixInstance.StartAsync(
            $"compatibility_level = 3.6\nmynetworks = 127.0.0.0/8\nalias_maps =\nmyhostname = postfix.example\nmydestination =\ndefault_transport = smtp\nrelayhost = [127.0.0.1]:{sink.Port}", [[]]);
        await using ServerInstance server = await ServerInstance.StartAsync($"relayhost = [127.0.0.1]:{postfix.Ports[0]}");
        await SendAsync(server, 5);
        await ServerInstance.UntilAsync(() => Task.FromResult(Count(server.Log, "status=sent") == 5), () => server.Log + postfix.Log);
        await Until.True(() => sink.Messages.Count == 5, () => postfix.Log);
        Assert.All(sink.Messages, static mail => Assert.EndsWith("\n\n" + Body, mail, StringComparison.Ordinal));
        Assert.Equal(5, Count(server.Log, "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as "));
        await Until.True(() => Count(postfix.Log, "to=<far@far.example>") == 5, () => postfix.Log);
    }

    private static async Task SendAsync(ServerInstance server, int count)
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        for (int i = 0; i < count; i++)
        {
            // The client stuffs the dots.
            string content = $"Subject: number {i}\n\n" + Body.Replace("\n.", "\n..", StringComparison.Ordinal).Insert(0, ".");
            Assert.StartsWith("250 2.0.0", await client.MailAsync("a@example.org", "far@far.example", content), StringComparison.Ordinal);
        }
    }

    private static int Count(string text, string part) => text.Split('\n').Count(line => line.Contains(part, StringComparison.Ordinal));
}
