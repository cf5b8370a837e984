namespace Postwright.Server.Master;

/// <summary>A program that master keeps running.</summary>
/// <param name="Name">mail or agent.</param>
/// <param name="LogPath">How log lines call it, as Postfix's name a daemon's file: <c>/usr/lib/postfix/sbin/mail</c>.</param>
/// <param name="Start">What to start each time, without the channel, which comes first among its descriptors.</param>
public sealed record SupervisedProgram(string Name, string LogPath, Func<SpawnRequest> Start);

/// <summary>How patient master is.</summary>
public sealed record SupervisorOptions
{
    /// <summary><c>service_throttle_time</c>: the longest wait before a program that keeps failing is started again.</summary>
    public TimeSpan ThrottleTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The first wait; it doubles with each failure in a row.</summary>
    public TimeSpan FirstThrottle { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A program that ran this long before it failed starts anew without a wait.</summary>
    public TimeSpan GoodRun { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long programs may take to end when asked; then they are killed. Less than <c>postfix stop</c> waits.</summary>
    public TimeSpan StopTime { get; init; } = TimeSpan.FromSeconds(4);
}
