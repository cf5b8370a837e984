using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>
/// line_length_limit says which texts the C library matches for regexp tables. Which matcher it was shows in <c>$1</c>: the C
/// library takes the longest match, PCRE2, which has the longer texts, the first.
/// </summary>
[Collection("real servers")]
public sealed class LineLengthLimitTests
{
    [Theory]
    [InlineData(512, 512, "ab")]
    [InlineData(512, 513, "a")]
    [InlineData(2048, 2048, "ab")]
    [InlineData(2048, 2049, "a")]
    [InlineData(4000, 4000, "ab")]
    [InlineData(4000, 4001, "a")]
    public async Task Postmap_gives_texts_up_to_the_limit_to_the_c_library(int limit, int length, string group)
    {
        await using ServerInstance server = await StartAsync(limit, start: false);
        string key = "ab".PadRight(length, 'x');
        CommandRun one = await server.RunAsync("postmap", ["-q", key, $"regexp:{server.ConfigDirectory}/senders"]);
        Assert.Equal($"REJECT seen {group}.\n", one.Output);
        CommandRun many = await server.RunAsync("postmap", ["-q", "-", $"regexp:{server.ConfigDirectory}/senders"], key + "\n");
        Assert.Equal($"{key}\tREJECT seen {group}.\n", many.Output);
    }

    [Theory]
    [InlineData(512, 512, "ab")]
    [InlineData(512, 513, "a")]
    [InlineData(4000, 4000, "ab")]
    [InlineData(4000, 4001, "a")]
    public async Task Smtpd_gives_texts_up_to_the_limit_to_the_c_library(int limit, int length, string group)
    {
        await using ServerInstance server = await StartAsync(limit, length);
        Assert.EndsWith($": seen {group}.", await AskAsync(server), StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_reload_the_new_limit_counts()
    {
        await using ServerInstance server = await StartAsync(4000, 1500);
        Assert.EndsWith(": seen ab.", await AskAsync(server), StringComparison.Ordinal);
        string main = Path.Combine(server.ConfigDirectory, "main.cf");
        string text = await File.ReadAllTextAsync(main, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            main, text.Replace("line_length_limit = 4000", "line_length_limit = 1000", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.Equal(0, (await server.RunAsync("postfix", ["reload"])).ExitStatus);
        await ServerInstance.UntilAsync(
            async () => (await AskAsync(server)).EndsWith(": seen a.", StringComparison.Ordinal), () => $"the former limit counts:\n{server.Log}");
    }

    private static async Task<string> AskAsync(ServerInstance server)
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        return await client.AskAsync("MAIL FROM:<me@example.org>");
    }

    /// <summary>A server whose regexp table is asked for each sender with a text of <paramref name="length"/> bytes, as no command line could carry it.</summary>
    private static async Task<ServerInstance> StartAsync(int limit, int length = 1, bool start = true)
    {
        ServerInstance server = await ServerInstance.StartAsync(
            $$"""
            line_length_limit = {{limit}}
            smtpd_delay_reject = no
            smtpd_sender_restrictions = check_sender_access pipemap:{static:{{"ab".PadRight(length, 'x')}},regexp:$config_directory/senders}
            """,
            start: false);
        await File.WriteAllTextAsync(Path.Combine(server.ConfigDirectory, "senders"), "/^(a|ab)/ REJECT seen $1.\n", TestContext.Current.CancellationToken);
        if (start)
        {
            await server.StartAsync();
        }

        return server;
    }
}
