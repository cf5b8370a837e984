using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Clients;

/// <summary>Programs that people send mail with, each through a real server: what they sent stands in the Maildir, byte by byte.</summary>
[Collection("real servers")]
public sealed class SenderTests
{
    private const string Sender = "someone@example.org";
    private const string Recipient = "user@example.test";

    private static readonly string Body = string.Join('\n',
        "An ordinary line.", "", ".", "..", ".hidden", "trailing blanks  ", "Gr\u00fc\u00dfe aus K\u00f6ln", new string('x', 900), "From here on", "the end") + "\n";

    private static readonly string Message = $"From: <{Sender}>\nTo: <{Recipient}>\nSubject: a test\nMIME-Version: 1.0\n"
        + $"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{Body}";

    [Fact]
    public Task Swaks_sends_through_the_server() => ArrivesAsync("swaks", static port =>
        ["--server", $"127.0.0.1:{port}", "--helo", "client.example", "--from", Sender, "--to", Recipient, "--data", "-"], Message.TrimEnd('\n'), Body);

    [Fact]
    public Task Msmtp_sends_through_the_server() => ArrivesAsync("msmtp", static port =>
        ["--host=127.0.0.1", $"--port={port}", "--auth=off", "--tls=off", $"--from={Sender}", Recipient], Message, Body);

    [Fact]
    public Task S_nail_sends_through_the_server()
    {
        // It chooses the encoding of what is not ASCII by itself.
        string body = Body.Replace("Gr\u00fc\u00dfe aus K\u00f6ln", "Greetings", StringComparison.Ordinal);
        return ArrivesAsync("s-nail", static port =>
            ["-:/", "-S", "v15-compat=yes", "-S", $"mta=smtp://127.0.0.1:{port}", "-S", "smtp-auth=none",
                "-S", "mime-encoding=8b", "-S", "save=no", "-r", Sender, "-s", "a test", Recipient], body, body);
    }

    [Fact]
    public Task Python_smtplib_sends_through_the_server() => ArrivesAsync("python3", static port =>
        ["-c", $"""
            import smtplib, sys
            with smtplib.SMTP("127.0.0.1", {port}, local_hostname="client.example", timeout=110) as server:
                server.sendmail("{Sender}", ["{Recipient}"], sys.stdin.buffer.read().replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])
            """], Message, Body);

    [Fact]
    public async Task Smtp_source_sends_two_hundred_messages_in_twenty_sessions()
    {
        const int Messages = 200;
        string? program = InstalledProgram.Find("smtp-source");
        Assert.SkipWhen(program is null, "smtp-source is not installed");
        await using ServerInstance server = await ServerInstance.StartAsync();
        CommandRun run = await CommandRun.RunAsync(program, ["-s", "20", "-m", $"{Messages}", "-l", "3000", "-f", Sender, "-t", Recipient, $"127.0.0.1:{server.Port}"]);
        Assert.True(run.ExitStatus == 0, run.Output + run.Error + server.Log);
        IReadOnlyList<string> mails = await server.MailAsync("user", Messages);
        Assert.Equal(Messages, mails.Count);
        Assert.Equal(Messages, mails.Select(MessageId).Distinct().Count());
        Assert.All(mails, static mail => Assert.EndsWith("XXXXXX\n", mail, StringComparison.Ordinal));
        Assert.Single(mails.Select(static mail => mail[mail.IndexOf("\n\n", StringComparison.Ordinal)..]).Distinct());
        await ServerInstance.UntilAsync(() => Task.FromResult(server.Log.Split('\n').Count(static line => line.Contains("status=sent", StringComparison.Ordinal)) == Messages),
            () => server.Log);
    }

    private static async Task ArrivesAsync(string name, Func<int, string[]> arguments, string input, string body)
    {
        string? program = InstalledProgram.Find(name);
        Assert.SkipWhen(program is null, $"{name} is not installed");
        await using ServerInstance server = await ServerInstance.StartAsync();
        string home = Directory.CreateDirectory(Path.Combine(server.Root, "home")).FullName;
        CommandRun run = await CommandRun.RunAsync(program, arguments(server.Port), input, server.Root,
            new Dictionary<string, string> { ["HOME"] = home, ["LC_ALL"] = "C.UTF-8" });
        Assert.True(run.ExitStatus == 0, run.Output + run.Error + server.Log);
        string mail = Assert.Single(await server.MailAsync("user"));
        Assert.StartsWith($"Return-Path: <{Sender}>\n", mail, StringComparison.Ordinal);
        Assert.Contains("\nDelivered-To: " + Recipient + "\n", mail, StringComparison.Ordinal);
        Assert.Contains("\nSubject: a test\n", mail, StringComparison.Ordinal);
        Assert.Equal(body, mail[(mail.IndexOf("\n\n", StringComparison.Ordinal) + 2)..]);
    }

    private static string MessageId(string mail) =>
        mail.Split('\n').First(static line => line.StartsWith("Message-Id:", StringComparison.OrdinalIgnoreCase));
}
