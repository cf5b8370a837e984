using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

[Collection("real servers")]
public sealed class SessionLimitTests
{
    [Fact]
    public async Task At_the_limit_of_its_row_a_service_lets_clients_wait_and_below_it_sets_stress()
    {
        int port = FreePort.Next();
        await using ServerInstance server = await ServerInstance.StartAsync(
            "smtpd_banner = $myhostname ESMTP ${stress?{busy}:{calm}}", $"127.0.0.1:{port} inet n - n - 2 smtpd");
        await using SmtpTestClient first = await SmtpTestClient.ConnectAsync(port);
        Assert.Equal("220 mail.example.test ESMTP calm", first.Greeting.TrimEnd());
        await using SmtpTestClient second = await SmtpTestClient.ConnectAsync(port);
        Assert.Equal("220 mail.example.test ESMTP busy", second.Greeting.TrimEnd());

        // The kernel takes the connection; nobody greets it until there is room.
        Task<SmtpTestClient> waiting = SmtpTestClient.ConnectAsync(port);
        await server.LoggedAsync($"warning: service \"127.0.0.1:{port}\" has reached its process limit \"2\": new clients may experience noticeable delays");
        Assert.False(waiting.IsCompleted);
        await first.AskAsync("QUIT");
        await using SmtpTestClient third = await waiting;
        Assert.StartsWith("220 ", third.Greeting, StringComparison.Ordinal);
    }
}
