using Postwright.Core.Configuration;

namespace Postwright.Server.Queue.Scheduling;

/// <summary>A transport's settings, <c>NAME_destination_...</c> and its process limit.</summary>
public sealed record TransportLimits
{
    /// <summary>Deliveries of the transport at one time: master.cf's maxproc, else default_process_limit; 0 for no limit.</summary>
    public int ProcessLimit { get; init; } = 100;

    /// <summary>Deliveries to one destination at one time; 0 for no limit.</summary>
    public int ConcurrencyLimit { get; init; } = 20;

    /// <summary>What a destination starts with.</summary>
    public int InitialConcurrency { get; init; } = 5;

    /// <summary>After a delivery that reached the destination.</summary>
    public ConcurrencyFeedback PositiveFeedback { get; init; } = ConcurrencyFeedback.One;

    /// <summary>After one that did not.</summary>
    public ConcurrencyFeedback NegativeFeedback { get; init; } = ConcurrencyFeedback.One;

    /// <summary>How many whole windows of failures make a destination dead; 0 for never.</summary>
    public int FailedCohortLimit { get; init; } = 1;

    /// <summary>Recipients in one delivery. With 1, each recipient is a destination of its own.</summary>
    public int RecipientLimit { get; init; } = 50;

    /// <summary>Between two deliveries to one destination; above zero it means a concurrency of 1 too.</summary>
    public TimeSpan DestinationRateDelay { get; init; }

    /// <summary>Between two deliveries of the transport; above zero it means one delivery at a time too.</summary>
    public TimeSpan TransportRateDelay { get; init; }

    /// <summary>Reads the settings of <paramref name="transport"/>.</summary>
    /// <param name="configuration">main.cf.</param>
    /// <param name="transport">master.cf's first column.</param>
    /// <param name="processLimit">master.cf's maxproc, null where it is <c>-</c>.</param>
    public static TransportLimits From(MailConfiguration configuration, string transport, int? processLimit)
    {
        TimeSpan rateDelay = configuration.GetTime(transport + "_destination_rate_delay");
        TimeSpan transportDelay = configuration.GetTime(transport + "_transport_rate_delay");
        return new TransportLimits
        {
            ProcessLimit = transportDelay > TimeSpan.Zero ? 1 : processLimit ?? configuration.GetInt("default_process_limit"),
            ConcurrencyLimit = rateDelay > TimeSpan.Zero ? 1 : configuration.GetInt(transport + "_destination_concurrency_limit"),
            InitialConcurrency = Math.Max(1, configuration.GetInt(transport + "_initial_destination_concurrency")),
            PositiveFeedback = Feedback(configuration, transport + "_destination_concurrency_positive_feedback"),
            NegativeFeedback = Feedback(configuration, transport + "_destination_concurrency_negative_feedback"),
            FailedCohortLimit = configuration.GetInt(transport + "_destination_concurrency_failed_cohort_limit"),
            RecipientLimit = configuration.GetInt(transport + "_destination_recipient_limit"),
            DestinationRateDelay = rateDelay,
            TransportRateDelay = transportDelay,
        };
    }

    private static ConcurrencyFeedback Feedback(MailConfiguration configuration, string name)
    {
        _ = ConcurrencyFeedback.TryParse(configuration.GetString(name), out ConcurrencyFeedback feedback);
        return feedback;
    }
}
